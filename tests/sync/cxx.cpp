/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The C++ interface, rtkvm/sync.hpp, with the standard library's locks. Speaks
 * TAP by itself: Check's headers are for C.
 */
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
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

/* The objects stay where they are; the locks on them move. */
static_assert(!std::is_copy_constructible<rtkvm::mutex>::value &&
		      !std::is_move_constructible<rtkvm::mutex>::value &&
		      !std::is_copy_assignable<rtkvm::mutex>::value &&
		      !std::is_move_assignable<rtkvm::mutex>::value &&
		      !std::is_move_constructible<rtkvm::recursive_mutex>::value &&
		      !std::is_move_constructible<rtkvm::condition_variable>::value &&
		      !std::is_move_assignable<rtkvm::condition_variable>::value &&
		      !std::is_copy_constructible<rtkvm::unique_lock>::value &&
		      std::is_nothrow_move_constructible<rtkvm::unique_lock>::value,
	      "what moves");
static_assert(std::is_nothrow_default_constructible<rtkvm::mutex>::value &&
		      std::is_nothrow_default_constructible<rtkvm::condition_variable>::value &&
		      std::is_nothrow_destructible<rtkvm::mutex>::value &&
		      std::is_nothrow_destructible<rtkvm::condition_variable>::value,
	      "what throws");

static bool held(rtkvm::mutex &m)
{
	bool free = false;

	std::thread([&] {
		free = m.try_lock();
		if (free)
			m.unlock();
	}).join();
	return !free;
}

static rtkvm::unique_lock locked(rtkvm::mutex &m)
{
	rtkvm::unique_lock lock(m);

	return lock;
}

static void moves()
{
	rtkvm::mutex a, b;
	{
		rtkvm::unique_lock first = locked(a);
		rtkvm::unique_lock second(std::move(first));

		ok(held(a) && second.owns_lock() && !first.owns_lock(), "a lock is moved");
		rtkvm::unique_lock other(b);
		other = std::move(second);
		ok(held(a) && !held(b), "a lock is moved over another, which is given up");
		other.swap(first);
		ok(first.owns_lock() && !other.owns_lock(), "locks are swapped");
		rtkvm::mutex *released = first.release();
		ok(released == &a && held(a), "a lock is released from its keeping");
		a.unlock();
		rtkvm::unique_lock later(b, std::defer_lock);
		ok(!later.owns_lock() && later.try_lock_for(seconds(1)), "a lock is put off");
		rtkvm::unique_lock refused(a, steady_clock::now() + milliseconds(5));
		ok(refused.owns_lock(), "a lock with a time");
	}
	ok(!held(a) && !held(b), "all are unlocked");
}

/* What error fn throws; 0: none. */
template <class Function> static int thrown(Function fn)
{
	try {
		fn();
	} catch (const std::system_error &e) {
		return e.code().value();
	}
	return 0;
}

static rtkvm_mutex_options robust()
{
	rtkvm_mutex_options options;

	rtkvm_mutex_options_init(&options, sizeof(options));
	options.flags = RTKVM_MUTEX_ROBUST;
	return options;
}

static void owners_that_end()
{
	rtkvm::mutex m(robust());
	rtkvm::condition_variable changed;
	auto end_with_it = [&] { std::thread([&] { m.lock_robust(); }).join(); };

	ok(!m.lock_robust(), "lock_robust: nobody has died");
	ok(thrown([&] { m.consistent(); }) == EINVAL, "consistent: nothing to put in order");
	m.unlock();
	end_with_it();
	ok(m.lock_robust(), "lock_robust: its owner has died");
	m.consistent();
	m.unlock();
	end_with_it();
	ok(thrown([&] { m.lock(); }) == EOWNERDEAD, "lock throws, and has it");
	m.consistent();
	m.unlock();
	end_with_it();
	ok(thrown([&] { m.try_lock(); }) == EOWNERDEAD, "try_lock throws, and has it");
	m.consistent();
	m.unlock();
	end_with_it();
	ok(thrown([&] { m.try_lock_for(seconds(1)); }) == EOWNERDEAD,
	   "try_lock_for throws, and has it");
	m.consistent();
	m.unlock();
	{
		rtkvm::unique_lock lock(m);
		std::thread owner([&] { m.lock_robust(); });
		int error = thrown([&] {
			/* the owner gets it meanwhile, and ends */
			while (changed.wait_for(lock, milliseconds(20)) == std::cv_status::timeout)
				;
		});

		owner.join();
		ok(error == EOWNERDEAD && lock.owns_lock(), "a wait throws, and has it");
	} /* and is unlocked without having been put in order */
	ok(thrown([&] { m.lock(); }) == ENOTRECOVERABLE, "it cannot be had any more");
	ok(thrown([&] { m.try_lock(); }) == ENOTRECOVERABLE, "try_lock says so, too");
}

static void waits_that_throw()
{
	rtkvm::mutex m, other;
	rtkvm::condition_variable cond;
	rtkvm::unique_lock lock(m);
	int asked = 0;
	bool out = false;

	try {
		cond.wait(lock, [&]() -> bool { throw std::runtime_error("out"); });
	} catch (const std::runtime_error &) {
		out = lock.owns_lock() && held(m);
	}
	ok(out, "a predicate throws out of a wait, with the mutex held");
	out = false;
	try {
		cond.wait_for(lock, milliseconds(5), [&]() -> bool {
			if (asked++)
				throw std::runtime_error("out");
			return false;
		});
	} catch (const std::runtime_error &) {
		out = lock.owns_lock() && held(m);
	}
	ok(out && asked == 2, "also after it has slept");

	asked = 0;
	ok(!cond.wait_until(lock, steady_clock::now() - seconds(1), [&] { return asked++ > 1; }) &&
		   asked == 2,
	   "a time that is over: the predicate is asked before and after");
	asked = 0;
	ok(cond.wait_until(lock, steady_clock::now() - seconds(1), [&] { return asked++ == 1; }),
	   "what it says after is the answer");
	ok(cond.wait_for(lock, seconds(-5)) == std::cv_status::timeout, "a time below 0");
	ok(cond.wait_until(lock, system_clock::time_point(seconds(-5))) == std::cv_status::timeout,
	   "a time before 1970");
	ok(cond.wait_until(lock, steady_clock::time_point(duration_cast<steady_clock::duration>(
					 duration<double>(0.0000000015)))) == std::cv_status::timeout,
	   "a fraction");
	/* the furthest that there is: until it is notified */
	std::thread waker([&] {
		rtkvm::lock_guard guard(m);
		asked = -1;
		cond.notify_one();
	});
	while (asked != -1)
		if (cond.wait_until(lock, system_clock::time_point::max()) == std::cv_status::timeout)
			break;
	waker.join();
	ok(asked == -1, "the end of time has not come");

	/* while a thread waits with one mutex nobody waits with another */
	bool waits = false, go = false;
	std::thread waiter([&] {
		rtkvm::unique_lock own(m);

		waits = true;
		cond.wait(own, [&] { return go; });
	});
	lock.unlock();
	for (bool yes = false; !yes; std::this_thread::yield()) {
		rtkvm::lock_guard guard(m);
		yes = waits;
	}
	rtkvm::unique_lock wrong(other);
	ok(thrown([&] { cond.wait(wrong); }) == EINVAL && wrong.owns_lock() && held(other),
	   "a wait with another mutex throws, and has that one");
	ok(thrown([&] { cond.wait_for(wrong, seconds(1)); }) == EINVAL, "so does one with a time");
	{
		rtkvm::lock_guard guard(m);
		go = true;
	}
	ok(thrown([&] { cond.notify_all(); }) == 0, "and who waits is notified");
	rtkvm_cond_broadcast(cond.native_handle(), m.native_handle());
	waiter.join();
}

int main()
{
	locks();
	waits();
	moves();
	owners_that_end();
	waits_that_throw();
	std::printf("1..%d\n", count);
	return 0;
}
