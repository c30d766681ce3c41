"""What only the training of mini needs: renders kept in memory, and large batches on one accelerator."""
