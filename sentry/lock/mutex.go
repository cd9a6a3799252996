//go:build !lockcheck

package lock

import "sync"

// Mutex is a sync.Mutex with a place in the order.
type Mutex[R Rank] struct{ sync.Mutex }

func (m *Mutex[R]) lockPeer() { m.Lock() }

// RWMutex is a sync.RWMutex with a place in the order.
type RWMutex[R Rank] struct{ sync.RWMutex }
