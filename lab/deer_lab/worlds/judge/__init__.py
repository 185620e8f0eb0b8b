"""Records demonstrations in any world and judges any policy there."""
