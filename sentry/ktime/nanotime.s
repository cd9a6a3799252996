// An empty assembly file lets nanotime_unsafe.go declare a function without a body.
