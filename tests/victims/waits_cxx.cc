// waits_cxx: what libstdc++ makes of waits for a time and until one. Each checks that it did not end before its time on its own
// clock; what is printed is the same under the shim as without it.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <thread>

using namespace std::chrono_literals;

template <class Clock, class Wait> static void say(const char *name, std::chrono::milliseconds time, Wait wait) {
    const auto start = Clock::now();
    const bool timed_out = wait();
    const auto gone = Clock::now() - start;
    if (!timed_out || gone < time || gone > 20s) {
        std::printf("%s: %s after %lld ms\n", name, timed_out ? "over" : "came back",
                    static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(gone).count()));
        std::exit(1);
    }
    std::printf("%s ok\n", name);
}

int main() {
    using steady = std::chrono::steady_clock;
    using wall = std::chrono::system_clock;
    std::mutex mutex;
    std::condition_variable condition;
    std::timed_mutex held;
    std::shared_timed_mutex shared;
    std::promise<int> promise;
    auto future = promise.get_future();
    constexpr auto time = 60ms;
    const auto never = [] { return false; };
    held.lock();
    shared.lock();

    std::unique_lock<std::mutex> lock(mutex);
    say<steady>("condition.wait_for", time, [&] { return !condition.wait_for(lock, time, never); });
    say<steady>("condition.wait_until steady", time, [&] { return !condition.wait_until(lock, steady::now() + time, never); });
    say<wall>("condition.wait_until system", time, [&] { return !condition.wait_until(lock, wall::now() + time, never); });
    say<steady>("future.wait_for", time, [&] { return future.wait_for(time) == std::future_status::timeout; });
    say<steady>("future.wait_until steady", time,
                [&] { return future.wait_until(steady::now() + time) == std::future_status::timeout; });
    say<wall>("future.wait_until system", time,
              [&] { return future.wait_until(wall::now() + time) == std::future_status::timeout; });
    std::thread([&] {
        say<steady>("timed_mutex.try_lock_for", time, [&] { return !held.try_lock_for(time); });
        say<wall>("timed_mutex.try_lock_until system", time, [&] { return !held.try_lock_until(wall::now() + time); });
        say<wall>("shared_timed_mutex.try_lock_until", time, [&] { return !shared.try_lock_until(wall::now() + time); });
    }).join();
    say<steady>("sleep_for", time, [&] { return std::this_thread::sleep_for(time), true; });
    say<steady>("sleep_until steady", time, [&] { return std::this_thread::sleep_until(steady::now() + time), true; });
    say<wall>("sleep_until system", time, [&] { return std::this_thread::sleep_until(wall::now() + time), true; });

    std::thread setter([&] {
        std::this_thread::sleep_for(30ms);
        promise.set_value(7);
    });
    const bool there = future.wait_for(20s) == std::future_status::ready && future.get() == 7;
    setter.join();
    std::printf("future %s\n", there ? "ready" : "missing");
    held.unlock();
    shared.unlock();
    return there ? 0 : 1;
}
