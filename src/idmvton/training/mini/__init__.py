"""The stages that only mini needs: small networks learn here what the published method brings along."""
