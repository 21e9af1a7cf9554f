"""The models' rim against the simulator and small real servers."""
