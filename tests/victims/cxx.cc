// cxx: exceptions through frames that make calls, destructors on cancellation, and the library's waits.
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <mutex>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "victim.h"

namespace {

int destroyed;

struct Guard {
    ~Guard() {
        int fd = open("cxx", O_WRONLY | O_CREAT, 0600);
        CHECK(fd >= 0 && write(fd, "x", 1) == 1);
        close(fd);
        destroyed++;
    }
};

void thrower(int depth) {
    Guard guard;
    std::vector<std::string> words(10, "some words that are too long for the short form");
    if (depth == 0)
        throw std::runtime_error("thrown");
    thrower(depth - 1);
}

void exceptions() {
    for (int i = 0; i < 50; i++) {
        bool caught = false;
        destroyed = 0;
        try {
            thrower(10);
        } catch (const std::runtime_error &e) {
            caught = e.what() == std::string("thrown");
        }
        CHECK(caught && destroyed == 11);
    }
    bool out_of_memory = false;
    volatile std::size_t huge = static_cast<std::size_t>(1) << 62;
    try {
        char *volatile block = new char[huge]; // volatile, or the pair may be left out
        delete[] block;
    } catch (const std::bad_alloc &) {
        out_of_memory = true;
    }
    CHECK(out_of_memory);
}

int ends[2];

void *blocked(void *) {
    Guard guard;
    char c;
    while (read(ends[0], &c, 1) < 0)
        ;
    return nullptr;
}

void cancellation() {
    CHECK(pipe(ends) == 0);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        void *result = nullptr;
        destroyed = 0;
        CHECK(pthread_create(&thread, nullptr, blocked, nullptr) == 0);
        usleep(20000);
        CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED && destroyed == 1);
    }
}

void waits() {
    using namespace std::chrono_literals;
    auto start = std::chrono::steady_clock::now();
    std::mutex mutex;
    std::condition_variable condition;
    std::unique_lock<std::mutex> lock(mutex);
    CHECK(condition.wait_until(lock, std::chrono::steady_clock::now() + 20ms) == std::cv_status::timeout);
    auto future = std::async(std::launch::async, [] {
        std::this_thread::sleep_for(40ms);
        return 42;
    });
    CHECK(future.wait_for(1ms) == std::future_status::timeout);
    CHECK(future.get() == 42);
    CHECK(std::chrono::steady_clock::now() - start >= 40ms);
}

void streams() {
    {
        std::ofstream out("cxx-stream");
        for (int i = 0; i < 5000; i++)
            out << i << '\n';
        CHECK(out.flush());
    }
    std::ifstream in("cxx-stream");
    int n = 0, value;
    while (in >> value)
        CHECK(value == n++);
    CHECK(n == 5000);
}

} // namespace

int main() {
    exceptions();
    cancellation();
    waits();
    streams();
    std::puts("cxx ok");
    return 0;
}
