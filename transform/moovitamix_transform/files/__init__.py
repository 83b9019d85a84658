"""`land --from`: what Airbyte's file destinations wrote → source tables, each file once."""
