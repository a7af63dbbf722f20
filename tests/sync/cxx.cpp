/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The C++ interface, rtkvm/sync.hpp, with the standard library's locks. Speaks
 * TAP by itself: Check's headers are for C.
 */
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include <rtkvm/sync.hpp>

using namespace std::chrono;

static int count;

static void ok(bool good, const char *what)
{
	std::printf("%s %d - %s\n", good ? "ok" : "not ok", ++count, what);
}

static void locks()
{
	static rtkvm::mutex a, b;
	long n = 0;
	std::vector<std::thread> threads;

	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			for (int k = 0; k < 20000; k++) {
				rtkvm::lock_guard guard(a);
				n++;
			}
		});
	for (auto &t : threads)
		t.join();
	ok(n == 80000, "lock_guard");
	{
		std::lock(a, b);
		std::lock_guard<rtkvm::mutex> first(a, std::adopt_lock);
		rtkvm::unique_lock second(b, std::adopt_lock);
		bool refused = false;

		try {
			a.lock();
		} catch (const std::system_error &e) {
			refused = e.code() == std::errc::resource_deadlock_would_occur;
		}
		ok(refused, "an error is thrown, and says which");
		ok(!b.try_lock(), "try_lock");
		std::thread([&] {
			auto start = steady_clock::now();

			ok(!a.try_lock_for(milliseconds(20)) &&
				   steady_clock::now() - start >= milliseconds(20),
			   "try_lock_for");
			ok(!a.try_lock_until(system_clock::now() + milliseconds(20)),
			   "try_lock_until on the other clock");
		}).join();
	}
	ok(a.try_lock(), "unlocked at the end of the block");
	a.unlock();
	try {
		rtkvm::lock_guard guard(a);
		throw std::runtime_error("out");
	} catch (const std::runtime_error &) {
		ok(a.try_lock(), "unlocked by an exception");
		a.unlock();
	}
	rtkvm::recursive_mutex r;
	r.lock();
	r.lock();
	r.unlock();
	std::thread([&] { ok(!r.try_lock(), "recursive"); }).join();
	r.unlock();
	bool refused = false;
	try {
		rtkvm::mutex wrong(RTKVM_MUTEX_EAGER, 100);
	} catch (const std::system_error &) {
		refused = true;
	}
	ok(refused, "a constructor throws");
	rtkvm::mutex right(RTKVM_MUTEX_CHECKED, 50);
	ok(rtkvm_mutex_get_ceiling(right.native_handle()) == 50, "a ceiling");
}

static void waits()
{
	static rtkvm::mutex m;
	static rtkvm::condition_variable empty, full;
	int item = 0, sum = 0;
	const int items = 20000;

	empty.notify_one();
	full.notify_all();
	std::thread consumer([&] {
		for (int i = 0; i < items; i++) {
			rtkvm::unique_lock lock(m);

			full.wait(lock, [&] { return item != 0; });
			sum += item;
			item = 0;
			lock.unlock();
			empty.notify_one();
		}
	});
	for (int i = 1; i <= items; i++) {
		rtkvm::unique_lock lock(m);

		empty.wait(lock, [&] { return item == 0; });
		item = i;
		full.notify_one();
	}
	consumer.join();
	ok(sum == items / 2 * (items + 1), "condition_variable");

	rtkvm::unique_lock lock(m);
	auto start = steady_clock::now();
	ok(full.wait_for(lock, milliseconds(20)) == std::cv_status::timeout &&
		   steady_clock::now() - start >= milliseconds(20),
	   "wait_for");
	auto at = system_clock::now() + milliseconds(20);
	ok(full.wait_until(lock, at) == std::cv_status::timeout && system_clock::now() >= at,
	   "wait_until on the other clock");
	ok(!full.wait_for(lock, milliseconds(5), [] { return false; }), "with a predicate");
	ok(full.wait_for(lock, milliseconds(5), [] { return true; }), "that holds");
	lock.unlock();
	bool refused = false;
	try {
		full.wait(lock);
	} catch (const std::system_error &) {
		refused = true;
	}
	ok(refused, "a wait without the mutex throws");

	bool go = false;
	int through = 0;
	std::vector<std::thread> threads;
	{
		rtkvm::condition_variable all;

		for (int i = 0; i < 5; i++)
			threads.emplace_back([&] {
				rtkvm::unique_lock own(m);

				while (!go)
					all.wait_for(own, seconds(60));
				through++;
			});
		std::this_thread::sleep_for(milliseconds(20));
		m.lock();
		go = true;
		m.unlock();
		all.notify_all();
		/* who has not begun to wait by now will not */
		for (auto &t : threads)
			t.join();
	}
	ok(through == 5, "notify_all");
}

int main()
{
	locks();
	waits();
	std::printf("1..%d\n", count);
	return 0;
}
