package wire

// Forget gives n references to id back, with some later request.
func (c *Client) Forget(id ID, n uint32) {
	if id == 0 || n == 0 {
		return
	}
	c.forgetMu.Lock()
	c.forgets = append(c.forgets, Forget{id, n})
	c.pending.Store(int32(len(c.forgets)))
	eager := len(c.forgets) >= forgetEagerly && !c.forgetting
	if eager {
		c.forgetting = true
	}
	c.forgetMu.Unlock()
	if eager {
		go c.Flush()
	}
}

// Flush sends all pending forgets.
func (c *Client) Flush() {
	for c.pending.Load() > 0 {
		if err := c.Call(nil, &ForgetReq{}, &Empty{}, nil); err != nil {
			break
		}
	}
	c.forgetMu.Lock()
	c.forgetting = false
	c.forgetMu.Unlock()
}

// takeForgets moves forgets to ch.
func (c *Client) takeForgets(ch *channel) {
	ch.fs = ch.fs[:0]
	if c.pending.Load() == 0 {
		return
	}
	c.forgetMu.Lock()
	defer c.forgetMu.Unlock()
	n := min(len(c.forgets), MaxForgets)
	ch.fs = append(ch.fs, c.forgets[len(c.forgets)-n:]...)
	c.forgets = c.forgets[:len(c.forgets)-n]
	c.pending.Store(int32(len(c.forgets)))
}

// FlushSoon sends all pending forgets in the background: something waits for them.
func (c *Client) FlushSoon() {
	c.forgetMu.Lock()
	start := len(c.forgets) > 0 && !c.forgetting
	c.forgetting = c.forgetting || start
	c.forgetMu.Unlock()
	if start {
		go c.Flush()
	}
}
