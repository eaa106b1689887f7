"""Gymnasium environments as TF-Agents environments, in or out of process."""
