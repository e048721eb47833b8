package alert

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Verdict is what a Reader found out about an alarm.
type Verdict string

const (
	// Verified: made with the decoy's key, nonce not seen before.
	Verified Verdict = "verified"
	// Repeated: made with the decoy's key, but its nonce was seen before. A
	// decoy uses a nonce on several channels; an intruder may replay a line.
	Repeated Verdict = "repeated"
	// Forged: it has the form of an alarm, but nobody with the key made it,
	// or it was damaged on the way.
	Forged Verdict = "forged"
)

// Alarm is one alarm found in a log.
type Alarm struct {
	Line    int // of the log, from 1
	Verdict Verdict
	Event   Event // what a forged alarm claims is not to be believed
	Err     error // why it is forged, otherwise nil
}

// Reader finds the alarms in a container's log and checks each against the
// master secrets. Lines of any length are read in bounded memory; nonces of
// the last maxNonces alarms are remembered.
type Reader struct {
	log     *bufio.Reader
	masters []Master
	line    int
	queue   []Alarm
	seen    map[Nonce]bool
	order   []Nonce
	err     error
}

const maxNonces = 1 << 16

// NewReader reads a log. Where several masters are given, one must match.
func NewReader(log io.Reader, masters ...Master) *Reader {
	return &Reader{log: bufio.NewReaderSize(log, MaxMessage), masters: masters, seen: map[Nonce]bool{}}
}

// Next returns the next alarm, genuine or not, and io.EOF at the end.
func (r *Reader) Next() (Alarm, error) {
	for len(r.queue) == 0 {
		if r.err != nil {
			return Alarm{}, r.err
		}
		r.readLine()
	}
	alarm := r.queue[0]
	r.queue = r.queue[1:]
	return alarm, nil
}

// readLine queues the alarms of one line. Only the text from the first prefix
// on is kept, and of that at most MaxMessage bytes.
func (r *Reader) readLine() {
	r.line++
	var kept []byte
	for {
		piece, err := r.log.ReadSlice('\n')
		kept = keep(append(kept, piece...))
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read log: %w", err)
		}
		r.err = err
		break
	}
	pieces := bytes.Split(kept, []byte(Prefix))
	for _, piece := range pieces[1:] { // a line may hold a torn alarm and a whole one
		r.queue = append(r.queue, r.judge(append([]byte(Prefix), piece...)))
	}
}

func keep(text []byte) []byte {
	start := bytes.Index(text, []byte(Prefix))
	if start < 0 {
		return text[max(0, len(text)-len(Prefix)+1):]
	}
	if text = text[start:]; len(text) <= 2*MaxMessage {
		return text
	}
	// The newest prefix decides: text before it cannot be a whole alarm.
	if last := bytes.LastIndex(text, []byte(Prefix)); last > 0 {
		return text[last:]
	}
	return append(text[:MaxMessage], text[len(text)-len(Prefix)+1:]...)
}

func (r *Reader) judge(text []byte) Alarm {
	alarm := Alarm{Line: r.line, Verdict: Forged}
	message, err := Parse(text)
	if err != nil {
		alarm.Err = err
		return alarm
	}
	alarm.Event = message.Event
	alarm.Err = ErrForged
	for _, master := range r.masters {
		if alarm.Err = master.Verify(message); alarm.Err == nil {
			alarm.Verdict = r.remember(message.Event.Nonce)
			break
		}
	}
	return alarm
}

func (r *Reader) remember(nonce Nonce) Verdict {
	if r.seen[nonce] {
		return Repeated
	}
	r.seen[nonce] = true
	if r.order = append(r.order, nonce); len(r.order) > maxNonces {
		delete(r.seen, r.order[0])
		r.order = r.order[1:]
	}
	return Verified
}
