// Paint a photo with ONNX Runtime: stylize-onnxruntime STYLE.onnx IN.ppm OUT.ppm, a style exported with `--io uint8`.

#include <onnxruntime_cxx_api.h>

#include <array>
#include <exception>
#include <iostream>

#include "ppm.hpp"

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: stylize-onnxruntime STYLE.onnx IN.ppm OUT.ppm\n";
        return 2;
    }
    try {
        Picture photo = read_ppm(argv[2]);

        // These lines are all that an app needs. An app keeps `session`; it can be run from several threads at once.
        Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "stylize");
        Ort::Session session(environment, argv[1], Ort::SessionOptions());
        const std::array<int64_t, 4> shape{
            1, static_cast<int64_t>(photo.height), static_cast<int64_t>(photo.width), 3};
        const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        const Ort::Value image = Ort::Value::CreateTensor<std::uint8_t>(
            memory, photo.pixels.data(), photo.pixels.size(), shape.data(), shape.size());
        const char* inputs[] = {"image"};
        const char* outputs[] = {"stylized"};
        const std::vector<Ort::Value> results = session.Run(Ort::RunOptions(), inputs, &image, 1, outputs, 1);
        const std::uint8_t* stylized = results.front().GetTensorData<std::uint8_t>();

        write_ppm(argv[3], photo.width, photo.height, stylized);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
