// deliver_unsafe.go has functions without bodies, which the compiler takes only from a
// package that has assembly.
