//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// forgers are ways to make an alarm without the key, from genuine ones: of the
// decoy and of another image's decoy of the same name.
var forgers = []struct {
	name string
	make func(r *rand.Rand, genuine, other []byte) []byte
}{
	{"bit flipped", func(r *rand.Rand, genuine, _ []byte) []byte {
		forged := bytes.Clone(genuine)
		forged[r.IntN(len(forged))] ^= 1 << r.IntN(8)
		return forged
	}},
	{"byte inserted", func(r *rand.Rand, genuine, _ []byte) []byte {
		at := r.IntN(len(genuine))
		return append(append(bytes.Clone(genuine[:at]), byte(r.IntN(256))), genuine[at:]...)
	}},
	{"truncated", func(r *rand.Rand, genuine, _ []byte) []byte { return genuine[:r.IntN(len(genuine))] }},
	{"oversize", func(r *rand.Rand, genuine, _ []byte) []byte {
		return append(bytes.Clone(genuine), bytes.Repeat([]byte("0"), alert.MaxMessage)...)
	}},
	{"another image's authentication", func(_ *rand.Rand, genuine, other []byte) []byte {
		a, b := bytes.LastIndexByte(genuine, ' '), bytes.LastIndexByte(other, ' ')
		return append(bytes.Clone(genuine[:a]), other[b:]...)
	}},
	{"another image's build id", func(_ *rand.Rand, genuine, _ []byte) []byte {
		return bytes.Replace(genuine, []byte(`"build":"image-1"`), []byte(`"build":"image-2"`), 1)
	}},
	{"wrong key", func(_ *rand.Rand, _, _ []byte) []byte {
		return alert.NewMaster().Key("image-1", "ls").Seal(event("image-1"), 0)
	}},
	{"older time", func(r *rand.Rand, genuine, _ []byte) []byte {
		return bytes.Replace(genuine, []byte(`"time":1`), fmt.Appendf(nil, `"time":%d`, 2+r.IntN(8)), 1)
	}},
	{"genuine, replayed", func(_ *rand.Rand, genuine, _ []byte) []byte { return genuine }},
}

const forgeries = 1_000_000

func event(build string) alert.Event {
	return alert.Event{Build: build, Decoy: "ls", Nonce: alert.Nonce{1}, Time: time.Now().UnixMicro(), Argv: []string{"ls", "-la"}, Cwd: "/"}
}

// forgeries offers a million lines to readers of logs and counts what they take
// for new and genuine.
func (b *bench) forgeries(context.Context) error {
	genuine, other := b.master.Key("image-1", "ls").Seal(event("image-1"), 0), b.master.Key("image-2", "ls").Seal(event("image-2"), 0)
	workers := runtime.GOMAXPROCS(0)
	accepted := make([]map[string]int, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { accepted[w], errs[w] = b.forge(uint64(w), forgeries/workers, genuine, other) })
	}
	wg.Wait()
	total := 0
	for w := range workers {
		if errs[w] != nil {
			return errs[w]
		}
		for name, n := range accepted[w] {
			fmt.Printf("accepted: %s: %d\n", name, n)
			total += n
		}
	}
	b.add("forged or replayed alarms accepted, of 10^6", "", float64(total), 0.5)
	return nil
}

func (b *bench) forge(seed uint64, n int, genuine, other []byte) (map[string]int, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	accepted := map[string]int{}
	for n > 0 {
		const batch = 1000
		var log bytes.Buffer
		log.Write(genuine) // once it is genuine, which the check must see
		log.WriteByte('\n')
		names := make(map[int]string, batch)
		for line := range batch {
			f := forgers[r.IntN(len(forgers))]
			forged := bytes.ReplaceAll(f.make(r, genuine, other), []byte{'\n'}, []byte{' '})
			if bytes.Equal(forged, genuine) {
				f.name = "genuine, replayed"
			}
			names[line+2] = f.name
			log.Write(append(forged, '\n'))
		}
		reader, first := alert.NewReader(&log, b.master), true
		for {
			a, err := reader.Next()
			if err != nil {
				break // io.EOF
			}
			if first && a.Verdict != alert.Verified {
				return nil, fmt.Errorf("the genuine alarm is %s: %v", a.Verdict, a.Err)
			}
			if !first && a.Verdict == alert.Verified {
				accepted[names[a.Line]]++
			}
			first = false
		}
		n -= batch
	}
	return accepted, nil
}
