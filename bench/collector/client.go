package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// client posts alarms over one connection, the way a decoy does, but keeps the
// connection. net/http as a client would cost more than the collector.
type client struct {
	address string
	conn    net.Conn
	r       *bufio.Reader
	head    []byte
}

const clientTimeout = 10 * time.Second

func (c *client) post(body []byte) (status int, err error) {
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.address, clientTimeout); err != nil {
			return 0, err
		}
		c.r = bufio.NewReaderSize(c.conn, 1024)
	}
	_ = c.conn.SetDeadline(time.Now().Add(clientTimeout)) // only fails on a closed connection
	c.head = fmt.Appendf(c.head[:0], "POST /v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
	if _, err = c.conn.Write(append(c.head, body...)); err != nil {
		return 0, err
	}
	line, err := c.r.ReadString('\n')
	if err != nil || len(line) < 12 {
		return 0, errors.Join(err, errors.New("short answer"))
	}
	if status, err = strconv.Atoi(line[9:12]); err != nil {
		return 0, err
	}
	length, last := 0, false
	for {
		header, err := c.r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if header = strings.TrimSpace(header); header == "" {
			break
		}
		last = last || strings.EqualFold(header, "connection: close")
		if value, found := strings.CutPrefix(strings.ToLower(header), "content-length: "); found {
			if length, err = strconv.Atoi(value); err != nil {
				return 0, err
			}
		}
	}
	_, err = io.CopyN(io.Discard, c.r, int64(length))
	if last {
		c.close()
	}
	return status, err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// maker makes alarms of many decoys, images and containers: their incidents
// are what sinks hear of.
type maker struct {
	master alert.Master
	keys   []alert.Key
	seq    atomic.Uint64
}

const (
	builds     = 8
	decoys     = 16
	containers = 4
)

func newMaker(m alert.Master) *maker {
	k := &maker{master: m}
	for b := range builds {
		for d := range decoys {
			k.keys = append(k.keys, m.Key(buildName(b), decoyName(d)))
		}
	}
	return k
}

func buildName(b int) string { return fmt.Sprintf("build-%d", b) }
func decoyName(d int) string { return fmt.Sprintf("tool%d", d) }

// next is an alarm of about the size that a decoy sends.
func (k *maker) next() (alert.Nonce, []byte) {
	e, which := k.event()
	return e.Nonce, k.keys[which].Seal(e, 0)
}

// sealed is the same under the key that a function chooses.
func (k *maker) sealed(key func(build, decoy string) alert.Key) (alert.Nonce, []byte) {
	e, _ := k.event()
	return e.Nonce, key(e.Build, e.Decoy).Seal(e, 0)
}

// old is an authentic alarm of long ago.
func (k *maker) old(age time.Duration) []byte {
	e, which := k.event()
	e.Time = time.Now().Add(-age).UnixMicro()
	return k.keys[which].Seal(e, 0)
}

func (k *maker) event() (alert.Event, int) {
	n := k.seq.Add(1)
	which := int(n % uint64(len(k.keys)))
	e := alert.Event{
		Build: buildName(which / decoys), Decoy: decoyName(which % decoys), Time: time.Now().UnixMicro(), Uptime: 86400e6, PID: int(n%4_000_000) + 2, PPID: 1,
		Origin: alert.FromInside, Path: "/usr/bin/tool", Argv: []string{"tool", "-la", "/root"}, Cwd: "/", Env: []string{"PATH", "HOME", "SSL_CERT_FILE"},
		UID: 65532, EUID: 65532, GID: 65532, Container: strings.Repeat(string('a'+rune(n/128%containers)), 64), Host: "0123456789ab",
		Ancestors: []alert.Process{{PID: 1, Comm: "app", Exe: "/app", Argv: []string{"/app", "--listen", ":8080"}}}, Seccomp: 2, NoNewPrivs: true,
	}
	binary.BigEndian.PutUint64(e.Nonce[:8], 0x1234_5678_9abc_def0)
	binary.BigEndian.PutUint64(e.Nonce[8:], n)
	return e, which
}

// forged changes an alarm's nonce, so that its code is another's: what somebody
// can make who has seen one alarm, and cheaper for the client than sealing.
func (k *maker) forged(template []byte, n uint64) []byte {
	line := bytes.Clone(template)
	at := bytes.Index(line, []byte(`"nonce":"`)) + len(`"nonce":"`)
	hex.Encode(line[at:], binary.BigEndian.AppendUint64(nil, n|1<<63)) // no genuine nonce begins so
	return line
}

// load is what several clients saw.
type load struct {
	done, forgeries atomic.Int64
	turns           chan struct{} // one a genuine alarm: as many forgeries, not more

	mu       sync.Mutex
	latency  []time.Duration
	acked    []alert.Nonce
	busy     int // 429 and 503
	broken   int // connections that ended
	accepted int // forgeries
	refused  int
}

func (l *load) percentile(p float64) time.Duration {
	if len(l.latency) == 0 {
		return 0
	}
	slices.Sort(l.latency)
	return l.latency[min(len(l.latency)-1, int(p*float64(len(l.latency))))]
}

// genuine sends alarms until stop, each until it is acknowledged; pick chooses
// among the collectors, a turn each time one fails. pace spaces alarms; 0 does
// not.
func (l *load) genuine(ctx context.Context, addresses []string, k *maker, first int, pace time.Duration, stop func() bool) {
	at := first % len(addresses)
	c := &client{address: addresses[at]}
	defer c.close()
	var latency []time.Duration
	var acked []alert.Nonce
	busy, broken := 0, 0
	due := time.Now()
	for !stop() && ctx.Err() == nil {
		if pace > 0 {
			due = due.Add(pace)
			time.Sleep(time.Until(due))
		}
		nonce, line := k.next()
		began := time.Now()
		for wait := 200 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 2*time.Second) {
			status, err := c.post(line)
			if status == 202 {
				break
			}
			if err != nil {
				broken++
				at = (at + 1) % len(addresses)
				c.address = addresses[at]
			} else {
				busy++
				time.Sleep(rand.N(wait)) // twice as long each time, as guards do
			}
			time.Sleep(20 * time.Millisecond)
		}
		if ctx.Err() == nil {
			l.done.Add(1)
			select {
			case l.turns <- struct{}{}:
			default:
			}
			latency, acked = append(latency, time.Since(began)), append(acked, nonce)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency, l.acked = append(l.latency, latency...), append(l.acked, acked...)
	l.busy, l.broken = l.busy+busy, l.broken+broken
}

func (l *load) forge(ctx context.Context, addresses []string, k *maker, first int, pace time.Duration, stop func() bool) {
	at := first % len(addresses)
	c := &client{address: addresses[at]}
	defer c.close()
	accepted, refused := 0, 0
	_, template := k.next()
	due := time.Now()
	for !stop() && ctx.Err() == nil {
		if pace > 0 {
			due = due.Add(pace)
			time.Sleep(time.Until(due))
		}
		if pace == 0 {
			select {
			case <-l.turns:
			case <-ctx.Done():
				continue
			}
		}
		switch status, err := c.post(k.forged(template, uint64(l.forgeries.Add(1)))); {
		case err != nil:
			at = (at + 1) % len(addresses)
			c.address = addresses[at]
			time.Sleep(20 * time.Millisecond)
		case status == 202:
			accepted++
		default:
			refused++
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted, l.refused = l.accepted+accepted, l.refused+refused
}
