package image

import (
	"context"
	"io"
)

// readAhead unpacks in another goroutine than the one that looks at files, so
// that an image of one large layer keeps two processors busy.
type readAhead struct {
	full   chan chunk
	empty  chan []byte
	cancel context.CancelFunc
	done   chan struct{}
	now    chunk
	rest   []byte
}

type chunk struct {
	data []byte
	err  error
}

const (
	chunks    = 4
	chunkSize = 256 << 10
)

// ahead starts reading. stop must be called before r is closed.
func ahead(ctx context.Context, r io.Reader) *readAhead {
	ctx, cancel := context.WithCancel(ctx)
	a := &readAhead{full: make(chan chunk, chunks+1), empty: make(chan []byte, chunks), cancel: cancel, done: make(chan struct{})}
	for range chunks {
		a.empty <- make([]byte, chunkSize)
	}
	go a.fill(ctx, r)
	return a
}

func (a *readAhead) fill(ctx context.Context, r io.Reader) {
	defer close(a.done)
	defer close(a.full)
	for {
		select {
		case <-ctx.Done():
			a.full <- chunk{err: ctx.Err()} // there is room for one more than there are buffers
			return
		case buf := <-a.empty:
			n, err := io.ReadFull(r, buf)
			if err == io.ErrUnexpectedEOF && n > 0 {
				// ReadFull's own word for a short end; r's error comes with the
				// next read.
				err = nil
			}
			select {
			case a.full <- chunk{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}
}

func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.empty <- a.now.data[:cap(a.now.data)]
			a.now.data = nil
		}
		next, ok := <-a.full
		if !ok {
			return 0, io.ErrUnexpectedEOF
		}
		a.now, a.rest = next, next.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the reading and waits for it.
func (a *readAhead) stop() {
	a.cancel()
	<-a.done
}
