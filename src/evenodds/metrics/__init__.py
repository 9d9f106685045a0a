"""How far two sets of examples lie apart: functions of matrices, one row per example."""
