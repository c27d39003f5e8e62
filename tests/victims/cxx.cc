// cxx: exceptions through frames that make calls, destructors on cancellation, and the library's waits.
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <ftw.h>
#include <future>
#include <mutex>
#include <new>
#include <poll.h>
#include <pthread.h>
#include <search.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
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

// The same in every kind of call that waits, some of them inside of libc's own functions.
int listener;
FILE *stream;

void in_accept() {
    accept(listener, nullptr, nullptr);
}
void in_poll() {
    pollfd fd = {ends[0], POLLIN, 0};
    poll(&fd, 1, -1);
}
void in_nanosleep() {
    timespec t = {1000, 0};
    nanosleep(&t, nullptr);
}
void in_fifo() {
    open("cxx-fifo", O_RDONLY);
}
void in_getline() {
    char *line = nullptr;
    std::size_t room = 0;
    getline(&line, &room, stream);
}
void in_condition() {
    Guard inner;
    std::mutex mutex;
    std::condition_variable condition;
    std::unique_lock<std::mutex> lock(mutex);
    timespec t = {0, 0};
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 1000;
    pthread_cond_timedwait(condition.native_handle(), mutex.native_handle(), &t);
}

void *waiting(void *call) {
    Guard outer;
    std::string words = "some words that are too long for the short form";
    for (;;) {
        Guard inner;
        reinterpret_cast<void (*)()>(call)();
    }
    return nullptr;
}

void cancellation_anywhere() {
    sockaddr address = {AF_UNIX, ""};
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(listener > 2 && bind(listener, &address, 2) == 0 && listen(listener, 1) == 0);
    CHECK(mkfifo("cxx-fifo", 0600) == 0 && (stream = fdopen(dup(ends[0]), "r")));
    void (*const calls[])() = {in_accept, in_poll, in_nanosleep, in_fifo, in_getline, in_condition};
    for (auto call : calls)
        for (int i = 0; i < 3; i++) {
            pthread_t thread;
            void *result = nullptr;
            destroyed = 0;
            CHECK(pthread_create(&thread, nullptr, waiting, reinterpret_cast<void *>(call)) == 0);
            usleep(20000);
            CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
            CHECK(result == PTHREAD_CANCELED && destroyed == (call == in_condition ? 3 : 2));
        }
    unlink("cxx-fifo");
}

// Thrown by what libc calls back, through its frames.
struct Thrown {};

void work_and_throw(int n) {
    Guard guard;
    if (n == 0)
        throw Thrown();
}

int calls_left;
int compare(const void *a, const void *b) {
    work_and_throw(calls_left--);
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}
void once() {
    work_and_throw(calls_left--);
}
int visit(const char *, const struct stat *, int, FTW *) {
    work_and_throw(calls_left--);
    return 0;
}
int select_entry(const dirent *) {
    work_and_throw(calls_left--);
    return 1;
}

template <typename F> void throws(int after, F f) {
    bool caught = false;
    calls_left = after;
    destroyed = 0;
    try {
        f();
    } catch (const Thrown &) {
        caught = true;
    }
    CHECK(caught && destroyed == after + 1);
}

void callbacks() {
    static int numbers[] = {5, 3, 9, 1, 7, 2, 8};
    static pthread_once_t control = PTHREAD_ONCE_INIT;
    mkdir("cxx-folder", 0700);
    close(open("cxx-folder/one", O_WRONLY | O_CREAT, 0600));
    for (int i = 0; i < 3; i++) {
        throws(i, [] { qsort(numbers, 7, sizeof *numbers, compare); });
        throws(0, [] {
            int k = 3;
            bsearch(&k, numbers, 7, sizeof *numbers, compare);
        });
        throws(0, [] { pthread_once(&control, once); });
        throws(i, [] {
            void *root = nullptr;
            for (auto &n : numbers)
                tsearch(&n, &root, compare);
        });
        throws(i % 2, [] { nftw("cxx-folder", visit, 3, FTW_PHYS); });
        throws(i, [] {
            dirent **list = nullptr;
            scandir("/", &list, select_entry, nullptr);
        });
    }
    calls_left = -1;
    CHECK(pthread_once(&control, once) == 0);
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
    cancellation_anywhere();
    callbacks();
    waits();
    streams();
    std::puts("cxx ok");
    return 0;
}
