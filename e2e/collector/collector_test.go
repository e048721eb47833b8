//go:build e2e

// Package collector tries the collector with real decoys in real containers,
// a real PostgreSQL and kill -9.
package collector

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/store/database"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/e2e/canary/stage"
)

func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("HARDSTAND_BIN")
	if dir == "" {
		t.Skip("needs HARDSTAND_BIN; scripts/e2e sets it")
	}
	return filepath.Join(dir, name)
}

// pair writes a self-signed certificate for 127.0.0.1.
func pair(t *testing.T, dir string) (cert, key string, ca []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "collector"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, cert, ca)
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return cert, key, ca
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// slack takes what a Slack incoming webhook takes.
type call struct {
	at   time.Time
	body string
}

func slack(t *testing.T) (*httptest.Server, chan call) {
	calls := make(chan call, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil || r.Header.Get("Content-Type") == "" {
			t.Errorf("request: %v %v", err, r.Header)
		}
		calls <- call{time.Now(), string(body)}
		_, _ = io.WriteString(w, "ok") // the client may be gone
	}))
	t.Cleanup(server.Close)
	return server, calls
}

const (
	medianGoal = 250 * time.Millisecond
	slowest    = time.Second
)

// TestDecoyToSink trips every default decoy in a hardened container, one after
// the other, and takes the time until the chat is told: from the decoy's own
// clock, so that docker exec does not count.
func TestDecoyToSink(t *testing.T) {
	ctx := t.Context()
	docker, err := stage.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Stop()
	dir := t.TempDir()
	cert, key, ca := pair(t, dir)
	chat, calls := slack(t)
	master := alert.NewMaster()
	text, err := master.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	image, register := build(t, master, "https://"+address+"/v1/alerts", ca)
	for name, content := range map[string][]byte{
		"canary.key": text, "slack.url": []byte(chat.URL + "/services/T0/B0/x"), "register.json": register,
		"config.yaml": []byte("allow-networks: [127.0.0.0/8]\nsinks:\n- {type: slack, url: {file: " + filepath.Join(dir, "slack.url") + "}}\n"),
	} {
		write(t, filepath.Join(dir, name), content)
	}
	file := filepath.Join(dir, "collector.db")
	start(t, "canary", "collector", "--listen", address, "--tls-cert", cert, "--tls-key", key, "--metrics", "", "--key", dir+"/canary.key",
		"--register", dir+"/register.json", "--config", dir+"/config.yaml", "--database", file)
	waitReady(t, address)
	if err := docker.Import(ctx, "collector-e2e", image, `ENTRYPOINT ["/app"]`); err != nil {
		t.Fatal(err)
	}
	id, err := docker.Run(ctx, append(stage.Hardened("--network=host"), "collector-e2e")...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_, _ = docker.Run(end, "rm", "-f", id) // nothing depends on it
		_, _ = docker.Run(end, "rmi", "-f", "collector-e2e")
	}()
	arrived := map[string]time.Time{}
	for i, d := range decoy.Default() {
		if i > 0 && i%3 == 0 { // after eight executions a container's decoys report less often
			if _, err := docker.Run(ctx, "restart", "-t", "0", id); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := docker.Try(ctx, nil, "exec", id, d.Name, "-la"); err != nil {
			t.Fatal(err)
		}
		select {
		case c := <-calls:
			if !strings.Contains(c.body, d.Name) || !strings.Contains(c.body, "web-e2e") {
				t.Errorf("decoy %s: the chat was told %s", d.Name, c.body)
			}
			arrived[d.Name] = c.at
		case <-time.After(10 * time.Second):
			t.Fatalf("decoy %s: the chat was not told", d.Name)
		}
	}
	check(t, file, arrived)
}

// check compares the times with the store, where every alarm must be.
func check(t *testing.T, file string, arrived map[string]time.Time) {
	t.Helper()
	db, err := database.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // only read
	found, err := db.ListIncidents(t.Context(), store.IncidentQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for _, one := range found {
		alarms, err := db.Alarms(t.Context(), one.ID, 0)
		if err != nil || len(alarms) == 0 {
			t.Fatalf("incident %d: %d alarms, %v", one.ID, len(alarms), err)
		}
		if one.Severity != store.High || one.Origin != alert.FromOutside || one.Image != "web-e2e" {
			t.Errorf("incident: %+v", one)
		}
		took = append(took, arrived[one.Decoy].Sub(alarms[len(alarms)-1].At))
	}
	if len(found) != len(arrived) {
		t.Fatalf("%d incidents for %d decoys", len(found), len(arrived))
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	t.Logf("from the decoy's start to the chat: p50 %v, slowest of %d %v", median, len(took), worst)
	if median > medianGoal || worst > slowest {
		t.Errorf("p50 %v, slowest %v: want at most %v and %v", median, worst, medianGoal, slowest)
	}
}

// build makes the files of an image with every default decoy and an
// application that waits.
func build(t *testing.T, master alert.Master, collector string, ca []byte) ([]decoy.File, []byte) {
	t.Helper()
	multicall, err := stage.GoBuild(t.Context(), stage.Multicall, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	app, err := stage.GoBuild(t.Context(), "github.com/hardstand/hardstand/e2e/canary/stage/pidone", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	result, err := decoy.Emit(decoy.Options{Binary: multicall, Arch: "amd64", Master: master, BuildID: "e2e", Image: "web-e2e", Collector: collector, CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	return append(result.Files, decoy.File{Path: "/app", Mode: 0o755, Content: app}), registerJSON(t, result.Register)
}

func registerJSON(t *testing.T, r decoy.Register) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"digest": "sha256:e2e", "register": map[string]any{"build": r.Build, "decoys": r}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func start(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, "hardstand"), args...)
	var log bytes.Buffer
	cmd.Stderr, cmd.Stdout = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("collector: %v\n%s", err, log.String())
		}
	})
}

func waitReady(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatal("the collector does not listen")
}

// TestCrash is the benchmark's crash run in small, on both databases: `make
// bench-collector` does a million alarms and a hundred kills.
func TestCrash(t *testing.T) {
	for _, postgres := range []bool{false, true} {
		t.Run(fmt.Sprintf("postgres=%t", postgres), func(t *testing.T) {
			t.Parallel() // most of it is waiting until what a killed collector was sending is sent again
			args := []string{"run", "github.com/hardstand/hardstand/bench/collector", "-bin", program(t, "hardstand-collector"), "-only", "crash",
				"-kills", "5", "-alarms", "2000", "-alarms-postgres", "2000", "-out", t.TempDir(), "-conns", "32", fmt.Sprintf("-sqlite=%t", !postgres), fmt.Sprintf("-postgres=%t", postgres)}
			out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestIdle: 10,000 idle connections and 500 that drip do not stop ingest.
func TestIdle(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", "github.com/hardstand/hardstand/bench/collector", "-bin", program(t, "hardstand-collector"),
		"-only", "idle", "-postgres=false", "-out", t.TempDir()).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// TestManifests: what we hand out for running the collector passes our own
// audit.
func TestManifests(t *testing.T) {
	for _, name := range []string{"compose.yaml", "kubernetes.yaml"} {
		out, err := exec.CommandContext(t.Context(), program(t, "hardstand"), "audit", "../../deploy/collector/"+name).CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 0 fail, 0 warn") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
