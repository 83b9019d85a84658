"""The report: one HTML file that shows what the warehouse's own commands say, and opens without a network."""
