// SPDX-License-Identifier: MIT
//
// librtkvm from C++: the handles in unique_ptrs, errors as exceptions. Reads a
// thread plan, prints it as the library understood it, and measures how long
// its own printing takes.
//
//   cxx [PLAN]        such as maxprio=80,policy=ff
#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <rtkvm/rtkvm.h>

// Not "rtkvm": that is the name of the C struct.
namespace rt {

struct error : std::runtime_error {
	explicit error(int code) : std::runtime_error(rtkvm_last_error()), code(-code) {}
	int code; // errno
};

inline int check(int ret)
{
	if (ret < 0)
		throw error(ret);
	return ret;
}

// Each handle is freed by its own function; NULL is never held.
template <auto free_fn> struct deleter {
	template <typename T> void operator()(T *p) const { free_fn(p); }
};

using context = std::unique_ptr<struct rtkvm, deleter<rtkvm_free>>;
using plan = std::unique_ptr<rtkvm_plan, deleter<rtkvm_plan_free>>;

inline context make_context()
{
	struct rtkvm *rt;

	check(rtkvm_new(nullptr, &rt));
	return context(rt);
}

inline plan parse_plan(const context &rt, const std::string &text)
{
	rtkvm_plan *p;

	check(rtkvm_plan_parse(rt.get(), text.c_str(), &p));
	return plan(p);
}

class latency {
public:
	latency(const context &rt, const char *name)
	{
		struct rtkvm_latency *l;

		check(rtkvm_latency_new(rt.get(), name, &l));
		handle.reset(l);
	}

	// RT-safe; so is the time it is given.
	void record(std::chrono::nanoseconds ns) noexcept
	{
		rtkvm_latency_record(handle.get(), ns.count() > 0 ? uint64_t(ns.count()) : 0);
	}

	rtkvm_latency_summary summary() const
	{
		rtkvm_latency_summary s{};

		s.size = sizeof(s);
		check(rtkvm_latency_get_summary(handle.get(), &s));
		return s;
	}

private:
	std::unique_ptr<struct rtkvm_latency, deleter<rtkvm_latency_free>> handle;
};

} // namespace rt

static std::string print(const rt::plan &plan)
{
	char text[256];

	rt::check(rtkvm_plan_print(plan.get(), text, sizeof(text)));
	return text;
}

int main(int argc, char **argv)
try {
	auto context = rt::make_context();
	auto plan = rt::parse_plan(context, argc > 1 ? argv[1] : "maxprio=80,policy=ff");
	rt::latency times(context, "printing a plan");

	for (int i = 0; i < 1000; i++) {
		auto start = std::chrono::steady_clock::now();

		print(plan);
		times.record(std::chrono::steady_clock::now() - start);
	}
	auto s = times.summary();
	std::cout << print(plan) << "\n" << s.count << " times, median " << s.p50_ns << " ns, at most "
		  << s.max_ns << " ns\n";

	try {
		rt::parse_plan(context, "maxprio=none");
		return 1;
	} catch (const rt::error &e) {
		std::cout << "refused as it should be: " << e.what() << "\n";
	}
	return 0;
} catch (const std::exception &e) {
	std::cerr << e.what() << "\n";
	return 1;
}
