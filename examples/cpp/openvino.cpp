// Paint a photo with OpenVINO: stylize-openvino STYLE.onnx IN.ppm OUT.ppm, a style exported with `--io uint8`.

#include <openvino/openvino.hpp>

#include <exception>
#include <iostream>

#include "ppm.hpp"

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: stylize-openvino STYLE.onnx IN.ppm OUT.ppm\n";
        return 2;
    }
    try {
        Picture photo = read_ppm(argv[2]);

        // These lines are all that an app needs. The tensor borrows the photo's memory.
        ov::Core core;
        ov::CompiledModel style = core.compile_model(argv[1], "CPU", ov::hint::inference_precision(ov::element::f32));
        ov::InferRequest request = style.create_infer_request();
        request.set_input_tensor(ov::Tensor(ov::element::u8, {1, photo.height, photo.width, 3}, photo.pixels.data()));
        request.infer();
        const std::uint8_t* stylized = request.get_output_tensor().data<std::uint8_t>();

        write_ppm(argv[3], photo.width, photo.height, stylized);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
