"""Small tensors: one thread is faster than several."""
import torch

torch.set_num_threads(1)
