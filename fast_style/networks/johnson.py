"""The network of Johnson et al."""

import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.networks.transformer import Places, TransformerNetwork


class ConvLayer(nn.Module):
    """A convolution after padding by reflection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.reflection_pad = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.conv2d(self.reflection_pad(features))
        return out


class UpsampleConvLayer(ConvLayer):
    """Nearest-neighbor upsampling by two, then a convolution: no checkerboard (Odena et al. 2016)."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, 2H, 2W)."""
        return super().forward(F.interpolate(features, scale_factor=2.0, mode="nearest"))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around which the input is added; no ReLU after the sum (Gross and Wilber 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        out = F.relu(self.in1(self.conv1(features)))
        total: Tensor = features + self.in2(self.conv2(out))
        return total


class JohnsonNetwork(TransformerNetwork):
    """Johnson's transformer network, 1.68 M parameters, with the attribute names of pytorch/examples.

    Reference:
        Johnson, Alahi and Fei-Fei 2016, supplementary material, table 1.

    Differs from the paper:
        Instance instead of batch normalization (Ulyanov et al. 2017, equation 2), resize-convolutions instead of
        transposed ones, padding by reflection in every layer instead of 40 px at the input, and linear output
        instead of a scaled tanh: all as in pytorch/examples. Unlike theirs, the last bias begins at 0.5.
    """

    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvLayer(3, 32, 9)
        self.in1 = nn.InstanceNorm2d(32, affine=True)
        self.conv2 = ConvLayer(32, 64, 3, 2)
        self.in2 = nn.InstanceNorm2d(64, affine=True)
        self.conv3 = ConvLayer(64, 128, 3, 2)
        self.in3 = nn.InstanceNorm2d(128, affine=True)
        self.res1 = ResidualBlock(128)
        self.res2 = ResidualBlock(128)
        self.res3 = ResidualBlock(128)
        self.res4 = ResidualBlock(128)
        self.res5 = ResidualBlock(128)
        self.deconv1 = UpsampleConvLayer(128, 64, 3)
        self.in4 = nn.InstanceNorm2d(64, affine=True)
        self.deconv2 = UpsampleConvLayer(64, 32, 3)
        self.in5 = nn.InstanceNorm2d(32, affine=True)
        self.deconv3 = ConvLayer(32, 3, 9)
        # Training starts from a gray picture of low contrast; with a mean of zero, half of the pixels would be black.
        nn.init.constant_(self.deconv3.conv2d.bias, 0.5)  # type: ignore[arg-type]  # Conv2d types its bias as optional

    def transform(self, image: Tensor, places: Places) -> Tensor:
        """Stylize (N, 3, H, W) in [0, 1] to the same shape; the output is linear and may overshoot [0, 1]."""
        features = F.relu(self.in1(self.conv1(image)))
        features = F.relu(self.in2(self.conv2(features)))
        features = F.relu(self.in3(self.conv3(features)))
        for block in (self.res1, self.res2, self.res3, self.res4, self.res5):
            features = block(features)
        features = F.relu(self.in4(self.deconv1(features)))
        features = F.relu(self.in5(self.deconv2(features)))
        out: Tensor = self.deconv3(features)
        return out
