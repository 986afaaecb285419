// 8-bit binary PPM, the simplest file of pixels: a header, then rows of R, G, B. An app has a library for JPEG instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Picture {
    std::size_t width = 0, height = 0;
    std::vector<std::uint8_t> pixels;  // height rows of width times R, G, B
};

inline Picture read_ppm(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string magic;
    std::size_t most = 0;
    Picture picture;
    if (!(in >> magic >> picture.width >> picture.height >> most) || magic != "P6" || most != 255 ||
        picture.width < 1 || picture.width > 65535 || picture.height < 1 || picture.height > 65535) {
        throw std::runtime_error(path + " is not an 8-bit binary PPM");
    }
    in.get();  // the one blank after the header
    picture.pixels.resize(picture.width * picture.height * 3);
    if (!in.read(reinterpret_cast<char*>(picture.pixels.data()), static_cast<std::streamsize>(picture.pixels.size()))) {
        throw std::runtime_error(path + " is cut short");
    }
    return picture;
}

inline void write_ppm(const std::string& path, std::size_t width, std::size_t height, const std::uint8_t* pixels) {
    std::ofstream out(path, std::ios::binary);
    out << "P6\n" << width << ' ' << height << "\n255\n";
    out.write(reinterpret_cast<const char*>(pixels), static_cast<std::streamsize>(width * height * 3));
    if (!out.flush()) {
        throw std::runtime_error(path + " cannot be written");
    }
}
