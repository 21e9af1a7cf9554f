-- All calls of an answer, and not only those under way: /info sums them up.
DROP INDEX ledger_turn;
CREATE INDEX ledger_turn ON ledger (turn);
