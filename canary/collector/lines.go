package collector

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	// maxLogLine is what is kept of a line; an alarm in a log has at most
	// alert.MaxLine bytes, and a log driver's JSON escapes most of its quotes.
	maxLogLine = 4 * alert.MaxLine
	tailPoll   = 250 * time.Millisecond
	lineRetry  = time.Second
)

// textFields are where log drivers keep the line: Docker, CRI through Fluent
// Bit, Vector, journald.
var textFields = []string{"log", "message", "msg", "MESSAGE", "line"}

// unwrap returns the text of a log driver's JSON object, or the line itself.
func unwrap(line []byte) []byte {
	if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] == '{' {
		var fields map[string]json.RawMessage
		if json.Unmarshal(trimmed, &fields) == nil {
			for _, name := range textFields {
				var text string
				if json.Unmarshal(fields[name], &text) == nil && text != "" {
					return []byte(text)
				}
			}
		}
	}
	return line
}

// Line takes the alarms in one line of a log. Unlike a sender over HTTP a log
// does not come again, so it waits while the collector is overloaded.
func (c *Collector) Line(ctx context.Context, line []byte, source string) error {
	found, rejected := c.verifier.InLine(line, c.now())
	for _, why := range rejected {
		c.metrics.receive(store.ChannelLog)
		c.metrics.reject(store.ChannelLog, why)
	}
	var failed error
	for _, a := range found {
		c.metrics.receive(store.ChannelLog)
		a.Alarm.Channel, a.Alarm.Source = store.ChannelLog, source
		if _, err := c.take(ctx, a); err != nil && !errors.Is(err, Revoked) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// Lines reads a log to its end; lines of any length need bounded memory.
func (c *Collector) Lines(ctx context.Context, log io.Reader, source string) error {
	r := bufio.NewReaderSize(log, maxLogLine)
	for ctx.Err() == nil {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil // the rest follows as a line of its own
		}
		if len(line) > 0 {
			text := bytes.Clone(line)
			for c.Line(ctx, text, source) != nil && ctx.Err() == nil {
				wait(ctx, lineRetry)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log %s: %w", source, err)
		}
	}
	return ctx.Err()
}

// Tail follows a file that a container engine writes, through rotation, until
// ctx ends. It begins with the file's beginning: what was stored already is
// recognised.
func (c *Collector) Tail(ctx context.Context, path string) error {
	t := &tail{ctx: ctx, path: path}
	defer t.close()
	err := c.Lines(ctx, t, path)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// tail is a reader that waits for more.
type tail struct {
	ctx  context.Context
	path string
	file *os.File
	at   int64
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
}

func (t *tail) Read(p []byte) (int, error) {
	for {
		if err := t.ctx.Err(); err != nil {
			return 0, err
		}
		if t.file == nil {
			file, err := os.Open(t.path)
			if err == nil {
				t.file, t.at = file, 0
			} else if !os.IsNotExist(err) {
				return 0, err
			}
		}
		if t.file != nil {
			n, err := t.file.Read(p)
			t.at += int64(n)
			if n > 0 {
				return n, nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return 0, err
			}
			t.follow()
		}
		wait(t.ctx, tailPoll)
	}
}

// follow notices that the file was replaced or cut.
func (t *tail) follow() {
	mine, err1 := t.file.Stat()
	now, err2 := os.Stat(t.path)
	switch {
	case err1 != nil || err2 != nil || !os.SameFile(mine, now):
		t.file.Close()
		t.file = nil
	case now.Size() < t.at:
		if _, err := t.file.Seek(0, io.SeekStart); err == nil {
			t.at = 0
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// takeLines reads what Fluent Bit and Vector post: a JSON array of records,
// JSON records a line, or plain lines.
func (c *Collector) takeLines(r *http.Request, body []byte) error {
	trimmed := bytes.TrimSpace(body)
	var records []json.RawMessage
	if len(trimmed) > 0 && trimmed[0] == '[' && json.Unmarshal(trimmed, &records) == nil {
		for _, record := range records {
			if err := c.Line(r.Context(), record, r.RemoteAddr); err != nil {
				return err
			}
		}
		return nil
	}
	for line := range bytes.Lines(body) {
		if err := c.Line(r.Context(), line, r.RemoteAddr); err != nil {
			return err
		}
	}
	return nil
}
