package netlab

import (
	"context"
	"fmt"
	"time"
)

// Capture is dumpcap at work on an interface.
type Capture struct {
	File string // pcapng
	p    *Process
}

// Capture records every frame that passes an interface of the namespace, whole, into a pcapng file. It returns when
// recording has begun.
func (n *Namespace) Capture(ctx context.Context, link, file string) (*Capture, error) {
	p, err := n.Start("dumpcap-"+link, "dumpcap", "-q", "-i", link, "-w", file)
	if err != nil {
		return nil, err
	}
	if err := p.WaitLog(ctx, "File:", 5*time.Second); err != nil {
		p.Kill()
		return nil, err
	}
	return &Capture{File: file, p: p}, nil
}

// captureLag is how long the kernel may hold a frame back before dumpcap sees it: the block timeout of its ring.
const captureLag = 300 * time.Millisecond

// Stop ends the recording, with all frames in the file that passed before the call.
func (c *Capture) Stop() error {
	time.Sleep(captureLag)
	if err := c.p.Stop(3 * time.Second); err != nil {
		return fmt.Errorf("dumpcap: %w:\n%s", err, c.p.LogTail(10))
	}
	return nil
}
