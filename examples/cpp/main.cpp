// Samples of a generator that `evenodds export RUN` wrote, by OpenVINO: sample MODEL.onnx OUT SEED [CLASS]
// OUT is a picture (.pgm, .ppm) of 4 x 4 samples, or with another ending their numbers as the file gives them.
// The samples are those of `evenodds sample MODEL.onnx -n 16 --seed SEED`, for runs with a normal prior.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

constexpr size_t SIDE = 4, N = SIDE * SIDE;

// One seed of two numbers (SplitMix64, Steele et al. 2014).
uint64_t mix(uint64_t seed, uint64_t block) {
    uint64_t state = 0;
    for (uint64_t number : {seed, block}) {
        state += number + 0x9e3779b97f4a7c15u;
        state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
        state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
        state ^= state >> 31;
    }
    return state >> 1;
}

// Standard normal numbers by Box and Muller (1958), in blocks of 16: the first half gives lengths, the second angles.
std::vector<float> noise(size_t n, uint64_t seed) {
    std::mt19937 bits(static_cast<uint32_t>(mix(seed, 0)));
    std::vector<float> z((n + 15) / 16 * 16);
    for (size_t at = 0; at < z.size(); at += 16) {
        double uniform[16];
        for (double& value : uniform) value = (bits() & 0xffffff) / 16777216.0;
        for (size_t k = 0; k < 8; k++) {
            double length = std::sqrt(-2 * std::log1p(-uniform[k])), angle = 2 * M_PI * uniform[k + 8];
            z[at + k] = static_cast<float>(length * std::cos(angle));
            z[at + k + 8] = static_cast<float>(length * std::sin(angle));
        }
    }
    return z;
}

int main(int count, char** words) try {
    if (count < 4) throw std::runtime_error("usage: sample MODEL.onnx OUT SEED [CLASS]");
    auto model = ov::Core().read_model(words[1]);
    auto request = ov::Core().compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32)).create_infer_request();
    size_t latent = model->input("z").get_partial_shape()[1].get_length();
    std::vector<float> z = noise(N * latent, std::stoull(words[3])), plain{1};
    std::vector<int64_t> classes(N, count > 4 ? std::stoll(words[4]) : -1);
    for (const auto& input : model->inputs()) {
        std::string name = input.get_any_name();
        if (name == "z") request.set_tensor("z", ov::Tensor(ov::element::f32, {N, latent}, z.data()));
        else if (name == "y") request.set_tensor("y", ov::Tensor(ov::element::i64, {N}, classes.data()));
        else if (name == "truncation") request.set_tensor(name, ov::Tensor(ov::element::f32, {1}, plain.data()));
        else throw std::runtime_error("the model must take z, y and truncation alone, it takes " + name);
    }
    request.infer();
    ov::Tensor x = request.get_output_tensor();
    std::string name = words[2], ending = name.substr(std::min(name.size(), name.find_last_of('.')));
    bool picture = ending == ".pgm" || ending == ".ppm";
    if (picture && x.get_element_type() != ov::element::f32) throw std::runtime_error("for pictures, export it without --uint8");
    std::ofstream out(words[2], std::ios::binary);
    if (!picture) return out.write(static_cast<const char*>(x.data()), x.get_byte_size()) ? 0 : 1;
    const auto shape = x.get_shape();  // N, C, height, width
    size_t channels = shape.at(1), height = shape.at(2), width = shape.at(3), shown = ending == ".pgm" ? 1 : 3;
    out << (shown == 1 ? "P5 " : "P6 ") << SIDE * width << " " << SIDE * height << " 255\n";
    for (size_t k = 0; k < N * height * width * shown; k++) {
        size_t c = k % shown, column = k / shown % (SIDE * width), row = k / shown / (SIDE * width);
        size_t sample = row / height * SIDE + column / width, from = std::min(c, channels - 1);
        float value = x.data<float>()[((sample * channels + from) * height + row % height) * width + column % width];
        out.put(static_cast<char>(std::lround(std::clamp((value + 1) * 127.5f, 0.0f, 255.0f))));
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
