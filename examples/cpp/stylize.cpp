// Stylize a picture with OpenVINO: a model exported with `--io uint8` takes pixels and returns pixels.
//
//     fast-style export NAME.ckpt --io uint8
//     cmake -B build -DOpenVINO_DIR=$(python -c "import openvino.utils as u; print(u.get_cmake_path())") && cmake --build build
//     build/stylize NAME-uint8.onnx photo.ppm out.ppm

#include <openvino/openvino.hpp>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: stylize MODEL.onnx IN.ppm OUT.ppm\n";
        return 2;
    }
    std::ifstream in(argv[2], std::ios::binary);
    std::string magic;
    std::size_t width = 0, height = 0, most = 0;
    if (!(in >> magic >> width >> height >> most) || magic != "P6" || most != 255 || width < 16 || height < 16) {
        std::cerr << argv[2] << " is no 8-bit binary PPM of at least 16 px a side\n";
        return 2;
    }
    in.get();  // the one blank after the header
    try {
        ov::Tensor image(ov::element::u8, {1, height, width, 3});
        if (!in.read(reinterpret_cast<char*>(image.data<std::uint8_t>()), image.get_byte_size())) {
            std::cerr << argv[2] << " is cut short\n";
            return 2;
        }

        // These lines are all that an app needs.
        ov::Core core;
        ov::CompiledModel model = core.compile_model(argv[1], "CPU", ov::hint::inference_precision(ov::element::f32));
        ov::InferRequest request = model.create_infer_request();
        request.set_input_tensor(image);
        request.infer();
        ov::Tensor stylized = request.get_output_tensor();

        std::ofstream out(argv[3], std::ios::binary);
        out << "P6\n" << width << ' ' << height << "\n255\n";
        out.write(reinterpret_cast<const char*>(stylized.data<std::uint8_t>()), stylized.get_byte_size());
        return out ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
