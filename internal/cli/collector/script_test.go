package collector_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hardstand/hardstand/canary/alert"
	planted "github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/canary/token"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/collector"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hardstand": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		f := cli.System("test")
		os.Exit(cli.Run(ctx, f, collector.New(f), os.Args[1:])) //nolint:gocritic // the process ends here
	}})
}

// TestScripts runs the commands as a person would. Each script says in its
// first lines what it shows.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			for _, name := range []string{"canary.key", "other.key"} {
				key, err := alert.NewMaster().MarshalText()
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), key, 0o600); err != nil {
					return err
				}
			}
			e.Vars = append(e.Vars, "AT="+listener.Addr().String(), "XDG_CONFIG_HOME="+e.WorkDir+"/config", "XDG_STATE_HOME="+e.WorkDir+"/state",
				"GORACE=atexit_sleep_ms=10") // a program with the race detector sleeps for a second when it ends
			return listener.Close()
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "signal": sendSignal, "plant": plant, "cert": writeCertificate, "use": use,
		},
	})
}

const within = 20 * time.Second

// await TEXT FILE waits until a file holds a text; with ! it looks once and
// fails if it does.
func await(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[1]))
		found := err == nil && strings.Contains(string(text), args[0])
		switch {
		case found && neg:
			ts.Fatalf("%s holds %q:\n%s", args[1], args[0], text)
		case found != neg:
			return
		case time.Now().After(end):
			ts.Fatalf("%s does not hold %q:\n%s", args[1], args[0], text)
		}
	}
}

// signal NAME FILE signals the process whose number is in a file.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	number := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, number))
}

// plant FILE BUILD OWNER writes a sealed register with a Vault token, and its
// secret to FILE.secret.
func plant(ts *testscript.TestScript, _ bool, args []string) {
	master, err := alert.ParseMaster([]byte(ts.ReadFile("canary.key")))
	ts.Check(err)
	made, err := token.Make(token.Options{Master: master, BuildID: args[1], Owner: args[2], Endpoint: "https://alarms.example", Kinds: []string{"vault"}, Date: time.Now()})
	ts.Check(err)
	text, err := planted.Seal(master, planted.Record{Build: args[1], Image: args[1] + ":1", Owner: args[2], Tokens: &made.Register})
	ts.Check(err)
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
	ts.Check(os.WriteFile(file, text, 0o600))
	ts.Check(os.WriteFile(file+".secret", []byte(token.Derive(master, args[1], "vault").Secret), 0o600))
}

// use FILE presents the secret of a planted Vault token where the alarms are
// received; it is refused either way, and told or not.
func use(ts *testscript.TestScript, _ bool, args []string) {
	request, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("AT")+"/v1/auth/token/lookup-self", nil)
	ts.Check(err)
	request.Header.Set("X-Vault-Token", ts.ReadFile(args[0]+".secret"))
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	ts.Check(response.Body.Close())
	if response.StatusCode < 400 {
		ts.Fatalf("answered %s", response.Status)
	}
}

// cert NAME writes NAME.crt and NAME.key for 127.0.0.1, which verifies itself.
func writeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}
