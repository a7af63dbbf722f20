/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync.hpp
 * C++ (11 and later) over sync_mutex.h and sync_cond.h, in this header alone.
 *
 * The mutexes meet the requirements that the standard library calls
 * TimedLockable, so std::lock_guard, std::unique_lock, std::scoped_lock and
 * std::lock() take them. The condition variable is like
 * std::condition_variable. What the C functions return as an error is thrown
 * as std::system_error; a destructor reports nothing.
 *
 * A robust mutex's lock() throws std::errc::owner_dead while holding the
 * mutex: use lock_robust(), which returns it. A wait throws it, too, and the
 * lock has the mutex. What throws after a wait without having it
 * (std::errc::state_not_recoverable, no_such_process) leaves a lock that
 * believes to have it, and whose unlocking does nothing.
 */
#ifndef RTKVM_SYNC_HPP
#define RTKVM_SYNC_HPP

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>

#include <rtkvm/sync.h>

namespace rtkvm
{

namespace detail
{

inline void check(int ret, const char *what)
{
	if (ret < 0)
		throw std::system_error(-ret, std::system_category(), what);
}

/** A point in time of a standard clock, as the C functions want it. */
struct point {
	int clock;
	struct timespec time;

	template <class Duration>
	explicit point(const std::chrono::time_point<std::chrono::steady_clock, Duration> &at)
		: clock(CLOCK_MONOTONIC), time(split(at.time_since_epoch()))
	{
	}
	template <class Duration>
	explicit point(const std::chrono::time_point<std::chrono::system_clock, Duration> &at)
		: clock(CLOCK_REALTIME), time(split(at.time_since_epoch()))
	{
	}

    private:
	/** Rounded up, so that nothing ends early. */
	template <class Duration> static struct timespec split(const Duration &since)
	{
		using std::chrono::duration_cast;
		auto seconds = duration_cast<std::chrono::seconds>(since);

		if (seconds > since)
			seconds -= std::chrono::seconds(1);
		auto rest = duration_cast<std::chrono::nanoseconds>(since - seconds);
		struct timespec time;
		time.tv_sec = static_cast<time_t>(seconds.count());
		time.tv_nsec = static_cast<long>(rest.count());
		if (rest < since - seconds && ++time.tv_nsec == 1000000000) {
			time.tv_nsec = 0;
			time.tv_sec++;
		}
		return time;
	}
};

} // namespace detail

/** A mutex: priority inheritance, or what its options say. */
class mutex
{
    public:
	typedef struct rtkvm_mutex *native_handle_type;

	/** Priority inheritance, nothing else; no call is made. */
	constexpr mutex() noexcept : m_() {}

	/** As the options of the C interface say; throws. */
	explicit mutex(const struct rtkvm_mutex_options &options) : m_()
	{
		detail::check(rtkvm_mutex_init(&m_, &options), "rtkvm_mutex_init");
	}

	/** A ceiling, 1 to 99; RTKVM_MUTEX_STATIC or another protocol that has one. */
	mutex(unsigned int protocol, unsigned int ceiling) : m_()
	{
		struct rtkvm_mutex_options options;

		rtkvm_mutex_options_init(&options, sizeof(options));
		options.protocol = protocol;
		options.ceiling = ceiling;
		detail::check(rtkvm_mutex_init(&m_, &options), "rtkvm_mutex_init");
	}

	mutex(const mutex &) = delete;
	mutex &operator=(const mutex &) = delete;
	~mutex() { rtkvm_mutex_destroy(&m_); }

	void lock() { detail::check(rtkvm_mutex_lock(&m_), "rtkvm_mutex_lock"); }

	/** True: its last owner died; put things in order and call consistent(). */
	bool lock_robust()
	{
		int ret = rtkvm_mutex_lock(&m_);

		if (ret != -EOWNERDEAD)
			detail::check(ret, "rtkvm_mutex_lock");
		return ret != 0;
	}

	bool try_lock()
	{
		int ret = rtkvm_mutex_trylock(&m_);

		if (ret != -EBUSY)
			detail::check(ret, "rtkvm_mutex_trylock");
		return ret == 0;
	}

	template <class Clock, class Duration>
	bool try_lock_until(const std::chrono::time_point<Clock, Duration> &at)
	{
		detail::point until(at);
		int ret = rtkvm_mutex_timedlock(&m_, until.clock, &until.time);

		if (ret != -ETIMEDOUT)
			detail::check(ret, "rtkvm_mutex_timedlock");
		return ret == 0;
	}

	template <class Rep, class Period>
	bool try_lock_for(const std::chrono::duration<Rep, Period> &time)
	{
		return try_lock_until(std::chrono::steady_clock::now() + time);
	}

	/** Of a mutex that the caller holds it cannot fail. */
	void unlock() { rtkvm_mutex_unlock(&m_); }

	void consistent() { detail::check(rtkvm_mutex_consistent(&m_), "rtkvm_mutex_consistent"); }

	native_handle_type native_handle() noexcept { return &m_; }

    private:
	struct rtkvm_mutex m_;
};

/** A mutex that its owner may lock again. */
class recursive_mutex : public mutex
{
    public:
	recursive_mutex() : mutex(recursive()) {}

    private:
	static struct rtkvm_mutex_options recursive()
	{
		struct rtkvm_mutex_options options;

		rtkvm_mutex_options_init(&options, sizeof(options));
		options.type = RTKVM_MUTEX_RECURSIVE;
		return options;
	}
};

/** std::lock_guard of a mutex. */
using lock_guard = std::lock_guard<mutex>;
/** std::unique_lock of a mutex. */
using unique_lock = std::unique_lock<mutex>;

/**
 * Like std::condition_variable, for rtkvm::mutex. While threads wait they all
 * do with the same mutex; it must live as long as the last notification.
 */
class condition_variable
{
    public:
	typedef struct rtkvm_cond *native_handle_type;

	constexpr condition_variable() noexcept : c_(), m_(nullptr) {}
	condition_variable(const condition_variable &) = delete;
	condition_variable &operator=(const condition_variable &) = delete;
	/** All that wait must have been notified; waits until they have left. */
	~condition_variable() { rtkvm_cond_destroy(&c_); }

	void notify_one() { notify(rtkvm_cond_signal, "rtkvm_cond_signal"); }
	void notify_all() { notify(rtkvm_cond_broadcast, "rtkvm_cond_broadcast"); }

	void wait(unique_lock &lock)
	{
		binding bound(m_, lock);

		detail::check(bound.refused(rtkvm_cond_wait(&c_, bound.mutex)), "rtkvm_cond_wait");
	}

	template <class Predicate> void wait(unique_lock &lock, Predicate done)
	{
		while (!done())
			wait(lock);
	}

	template <class Clock, class Duration>
	std::cv_status wait_until(unique_lock &lock, const std::chrono::time_point<Clock, Duration> &at)
	{
		detail::point until(at);
		binding bound(m_, lock);
		int ret = bound.refused(
			rtkvm_cond_clockwait(&c_, bound.mutex, until.clock, &until.time));

		if (ret == -ETIMEDOUT)
			return std::cv_status::timeout;
		detail::check(ret, "rtkvm_cond_clockwait");
		return std::cv_status::no_timeout;
	}

	template <class Clock, class Duration, class Predicate>
	bool wait_until(unique_lock &lock, const std::chrono::time_point<Clock, Duration> &at,
			Predicate done)
	{
		while (!done())
			if (wait_until(lock, at) == std::cv_status::timeout)
				return done();
		return true;
	}

	template <class Rep, class Period>
	std::cv_status wait_for(unique_lock &lock, const std::chrono::duration<Rep, Period> &time)
	{
		return wait_until(lock, std::chrono::steady_clock::now() + time);
	}

	template <class Rep, class Period, class Predicate>
	bool wait_for(unique_lock &lock, const std::chrono::duration<Rep, Period> &time,
		      Predicate done)
	{
		return wait_until(lock, std::chrono::steady_clock::now() + time, done);
	}

	native_handle_type native_handle() noexcept { return &c_; }

    private:
	/**
	 * The mutex that is waited with. Noted with it held: who notifies later sees it, or
	 * nobody waits. A wait that is refused (others wait with another mutex) was none.
	 */
	struct binding {
		binding(std::atomic<struct rtkvm_mutex *> &note, unique_lock &lock)
			: mutex(lock.mutex()->native_handle()), noted(note),
			  before(note.load(std::memory_order_relaxed))
		{
			if (before != mutex)
				noted.store(mutex, std::memory_order_release);
		}

		int refused(int ret)
		{
			if (ret == -EINVAL && before != mutex)
				noted.store(before, std::memory_order_release);
			return ret;
		}

		struct rtkvm_mutex *const mutex;

	    private:
		std::atomic<struct rtkvm_mutex *> &noted;
		struct rtkvm_mutex *const before;
	};

	void notify(int (*wake)(struct rtkvm_cond *, struct rtkvm_mutex *), const char *what)
	{
		struct rtkvm_mutex *m = m_.load(std::memory_order_acquire);

		/* nobody has ever waited */
		if (m)
			detail::check(wake(&c_, m), what);
	}

	struct rtkvm_cond c_;
	std::atomic<struct rtkvm_mutex *> m_;
};

} // namespace rtkvm

#endif
