//go:build linux

// Command canary measures the decoys against their gates, in the hardened
// container, and writes the figures to out/bench/canary.json. It needs a
// Docker engine or the right to start one.
//
// Times depend on the machine and its load, so there are ratios to floors of the
// same run. Where the absolute gates were set, the floor of fork, exec and exit
// was 63 µs (p99 300 µs) and an empty Go program took 0.92 ms. On a machine
// where the floor alone takes longer than that, the ratio to it is the gate of
// tier A, and the absolute time is only shown.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/e2e/canary/stage"
)

func main() {
	n := flag.Int("n", 500, "executions a row")
	flag.Parse()
	if err := run(context.Background(), *n); err != nil {
		fmt.Fprintln(os.Stderr, "bench/canary:", err)
		os.Exit(1)
	}
}

// row is one line of the report. Limit 0 means that there is no gate.
type row struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit,omitempty"`
}

func (r row) verdict() string {
	switch {
	case r.Limit == 0:
		return ""
	case r.Value <= r.Limit:
		return "pass"
	}
	return "FAIL"
}

type bench struct {
	docker            *stage.Docker
	multicall, driver []byte
	master            alert.Master
	n                 int
	empty             time.Duration // of a Go program that does nothing
	rows              []row

	mu      sync.Mutex
	arrived map[string]int64 // nonce to nanoseconds since 1970
}

func run(ctx context.Context, n int) error {
	b := &bench{n: n, master: alert.NewMaster(), arrived: map[string]int64{}}
	var err error
	if b.multicall, err = stage.GoBuild(ctx, stage.Multicall, "amd64", payload.Smaller()...); err != nil {
		return err
	}
	if b.driver, err = stage.GoBuild(ctx, "github.com/hardstand/hardstand/bench/canary/driver", "amd64"); err != nil {
		return err
	}
	if err := b.emit(); err != nil {
		return err
	}
	if b.docker, err = stage.Start(ctx); err != nil {
		return err
	}
	defer b.docker.Stop()
	for _, step := range []func(context.Context) error{b.floor, b.tiers, b.collector, b.health, b.falls, b.forgeries} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return b.report()
}

// errGates says that the run worked and a gate did not hold.
var errGates = errors.New("not every gate holds")

func (b *bench) add(name, unit string, value, limit float64) {
	b.rows = append(b.rows, row{name, unit, value, limit})
}

func (b *bench) options(tier string) decoy.Options {
	return decoy.Options{Binary: b.multicall, Arch: "amd64", Master: b.master, BuildID: "bench-" + tier, Tier: tier}
}

// emit times the builder's part.
func (b *bench) emit() error {
	var took []time.Duration
	var result decoy.Result
	for range 20 {
		began := time.Now()
		var err error
		if result, err = decoy.Emit(b.options(decoy.TierBoth)); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	b.add("emit 30 decoys, both tiers, p50", "ms", percentile(took, 50).Seconds()*1e3, 30)
	b.add("tier B program", "MB", float64(len(b.multicall))/1e6, 4.8)
	for _, f := range result.Files {
		if f.Path == "/usr/bin/ls" {
			b.add("tier A program", "KB", float64(len(f.Content))/1024, 6)
		}
	}
	return nil
}

// floor is a Go program that returns at once, and a program of three
// instructions that exits.
func (b *bench) floor(ctx context.Context) error {
	samples, err := b.measure(ctx, b.options(decoy.TierA), "/driver", "exit", "--network=none")
	if err != nil {
		return err
	}
	b.empty = percentile(exits(samples), 50)
	b.add("floor: fork to exit of an empty Go program, p50", "µs", micros(b.empty), 0)
	b.add("floor: fork to exit of three instructions, p50", "µs", micros(percentile(field(samples, func(s sample) int64 { return s.Floor }), 50)), 0)
	return nil
}

// slowFloor is where the absolute gates of tier A say more about the machine
// than about the decoy: half as long again as on the one where they were set.
const slowFloor = 95 * time.Microsecond

func (b *bench) tiers(ctx context.Context) error {
	for _, tier := range []string{decoy.TierA, decoy.TierBoth, decoy.TierB} {
		samples, err := b.measure(ctx, b.options(tier), "/usr/bin/ls", "alarm", "--network=none")
		if err != nil {
			return err
		}
		alarms := field(samples, func(s sample) int64 { return s.Alarm })
		floors := field(samples, func(s sample) int64 { return s.Floor })
		p50, p99 := 150.0, 2000.0
		if tier == decoy.TierB { // no gate: a Go program takes longer to start
			p50, p99 = 0, 0
		}
		if percentile(floors, 50) > slowFloor { // the ratios are the gates
			p50, p99 = 0, 0
		}
		b.add("tier "+tier+": fork to alarm in the log, p50", "µs", micros(percentile(alarms, 50)), p50)
		b.add("tier "+tier+": fork to alarm in the log, p99", "µs", micros(percentile(alarms, 99)), p99)
		b.add("tier "+tier+": fork to exit, p50", "µs", micros(percentile(exits(samples), 50)), 0)
		if tier != decoy.TierB { // the first alarm is tier A's
			b.add("tier "+tier+": alarm over floor, p50", "x", ratio(percentile(alarms, 50), percentile(floors, 50)), 2.4)
			b.add("tier "+tier+": alarm over floor, p99", "x", ratio(percentile(alarms, 99), percentile(floors, 99)), 6.7)
		}
	}
	return nil
}

// collector measures to a TLS server in this process.
func (b *bench) collector(ctx context.Context) error {
	certificate, ca, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: b, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer func() { _ = server.Close() }()      // the figures are taken
	o := b.options(decoy.TierB)
	o.Collector, o.CA = "https://"+listener.Addr().String()+"/v1/alerts", ca
	samples, err := b.measure(ctx, o, "/usr/bin/ls", "alarm", "--network=host")
	if err != nil {
		return err
	}
	var took []time.Duration
	b.mu.Lock()
	for _, s := range samples {
		if at, found := b.arrived[s.Nonce]; found {
			took = append(took, time.Duration(at-s.Start))
		}
	}
	b.mu.Unlock()
	b.add("alarms missing at the collector", "", float64(len(samples)-len(took)), 0.5)
	b.add("fork to collector over TLS, p50", "ms", percentile(took, 50).Seconds()*1e3, 5)
	b.add("fork to collector over TLS, p99", "ms", percentile(took, 99).Seconds()*1e3, 25)
	b.add("collector over an empty Go program, p50", "x", ratio(percentile(took, 50), b.empty), 5.4)
	b.add("collector over an empty Go program, p99", "x", ratio(percentile(took, 99), b.empty), 27)
	return nil
}

func (b *bench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, alert.MaxMessage))
	at := time.Now().UnixNano()
	if m, parse := alert.Parse(body); err == nil && parse == nil && b.master.Verify(m) == nil {
		b.mu.Lock()
		b.arrived[m.Event.Nonce.String()] = at
		b.mu.Unlock()
	}
	w.WriteHeader(http.StatusAccepted)
}

type sample struct {
	Start, Alarm, Exit, Floor int64
	Nonce                     string
}

// measure runs the driver as PID 1 of a hardened container.
func (b *bench) measure(ctx context.Context, o decoy.Options, program, until string, runArgs ...string) ([]sample, error) {
	result, err := decoy.Emit(o)
	if err != nil {
		return nil, err
	}
	files := append(result.Files, decoy.File{Path: "/driver", Mode: 0o755, Content: b.driver},
		decoy.File{Path: "/floor", Mode: 0o111, Content: exitOnly()})
	const tag = "hardstand-bench-canary"
	if err := b.docker.Import(ctx, tag, files, `ENTRYPOINT ["/driver"]`); err != nil {
		return nil, err
	}
	args := slices.Concat(stage.Hardened(runArgs...), []string{tag, strconv.Itoa(b.n), program, until})
	args = slices.DeleteFunc(args, func(a string) bool { return a == "-d" })
	// The shares keep other work on the machine out of the figures.
	out, err := b.docker.Try(ctx, nil, append([]string{"run", "--rm", "--cpu-shares=262144"}, args[1:]...)...)
	if err != nil || out.Code != 0 {
		return nil, fmt.Errorf("run the driver: exit %d: %w: %s%s", out.Code, err, out.Stdout, out.Stderr)
	}
	var samples []sample
	lines := bufio.NewScanner(bytes.NewReader([]byte(out.Stdout)))
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	if len(samples) != b.n {
		return nil, fmt.Errorf("the driver measured %d of %d executions", len(samples), b.n)
	}
	return samples, nil
}

// exitOnly is the smallest program there is for amd64: an ELF header, one
// segment, and exit(0).
func exitOnly() []byte {
	const base, headers = 0x400000, 64 + 56
	code := []byte{0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05} // xor edi, edi; mov eax, exit; syscall
	size := uint64(headers + len(code))
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, elf.Header64{ // a Buffer takes everything
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1})
	_ = binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 4096})
	return append(b.Bytes(), code...)
}

func field(samples []sample, of func(sample) int64) []time.Duration {
	list := make([]time.Duration, len(samples))
	for i, s := range samples {
		list[i] = time.Duration(of(s))
	}
	return list
}

func exits(samples []sample) []time.Duration {
	return field(samples, func(s sample) int64 { return s.Exit })
}

func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{{127, 0, 0, 1}}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

func (b *bench) report() error {
	fmt.Printf("%-56s %10s %10s\n", "", "measured", "gate")
	for _, r := range b.rows {
		limit := ""
		if r.Limit != 0 {
			limit = fmt.Sprintf("%.4g %s", r.Limit, r.verdict())
		}
		fmt.Printf("%-56s %10s %s\n", r.Name, fmt.Sprintf("%.4g %s", r.Value, r.Unit), limit)
	}
	text, err := json.MarshalIndent(b.rows, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Join("out", "bench")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "canary.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if slices.ContainsFunc(b.rows, func(r row) bool { return r.verdict() == "FAIL" }) {
		return errGates
	}
	return nil
}
