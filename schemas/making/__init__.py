"""What every computed table needs: provenance, progress, resources, locks."""
