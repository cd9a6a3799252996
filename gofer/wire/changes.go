package wire

import "time"

// watchDelay is the age at which a sandbox begins to watch. Short-lived ones, which are
// many, do not: to end an inotify instance costs the host some 15 ms.
const watchDelay = time.Second

// Subscribe has f called, one call at a time, with what others change in mounts that
// are not shared, within a second, once the sandbox is older than WatchDelay. It is best
// effort: a host that allows no more watches, or a lost gofer, means that f is not called
// (again).
func (c *Client) Subscribe(f func(*ChangesResp)) {
	c.mu.Lock()
	c.subscribers = append(c.subscribers, f)
	first := len(c.subscribers) == 1
	c.mu.Unlock()
	if first {
		go c.listen()
	}
}

// listen asks for changes, again and again, on a connection of its own. It is the one
// that waits without looking up now and then: an idle sandbox shall be idle.
func (c *Client) listen() {
	select {
	case <-time.After(c.WatchDelay):
	case <-c.dead:
		return
	}
	ch, err := c.make(nil, &ChannelReq{Plain: true}, nil)
	if err != nil {
		return
	}
	defer ch.conn.Close()
	if err := ch.conn.SetTimeout(0); err != nil {
		return
	}
	for {
		var r ChangesResp
		if err := c.exchange(ch, nil, &ChangesReq{}, &r, nil); err != nil {
			return
		}
		c.mu.Lock()
		fs := c.subscribers[:len(c.subscribers):len(c.subscribers)]
		c.mu.Unlock()
		for _, f := range fs {
			f(&r)
		}
	}
}
