//go:build e2e

package collectorweb

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/collector/listen/listentest"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/web"
)

// collector is the executable at work, on an address of its own on loopback,
// with every listener at its standard port.
type collector struct {
	*listentest.Plant
	host, ca string
	messages chan store.Message
	token    string // of the dashboard
}

func start(t *testing.T) *collector {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("ports below 1024 need root; scripts/e2e runs as root")
	}
	var b [2]byte
	_, _ = rand.Read(b[:])
	c := &collector{host: fmt.Sprintf("127.77.%d.%d", b[0], 1+b[1]%254), messages: make(chan store.Message, 100)}
	dir := t.TempDir()
	c.ca = filepath.Join(dir, "tls.crt")
	certificate := certify(t, c.ca, filepath.Join(dir, "tls.key"), c.host)
	c.Plant = listentest.New(t, "https://"+c.host, certificate)
	master, err := c.Master.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	register, err := json.Marshal(c.Register)
	if err != nil {
		t.Fatal(err)
	}
	token, hash := web.NewToken()
	c.token = token
	config := fmt.Sprintf(`sinks: [{type: stdout}]
dashboard: {listen: '%[1]s:8444', url: 'https://%[1]s:8444', admin-token-hash: '%[2]s'}
credentials: {https: ['%[1]s:6443'], postgres: '%[1]s:5432', mysql: '%[1]s:3306', ssh: '%[1]s:22', smtp: '%[1]s:587'}
`, c.host, hash)
	for name, text := range map[string][]byte{"canary.key": master, "register.json": register, "collector.yaml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(executable(t), "canary", "collector", "--key", dir+"/canary.key", "--register", dir+"/register.json", "--config", dir+"/collector.yaml",
		"--database", dir+"/collector.db", "--listen", c.host+":443", "--metrics", "", "--tls-cert", c.ca, "--tls-key", dir+"/tls.key")
	c.run(t, cmd)
	return c
}

// run starts the executable, reads its messages, and ends it with the test.
func (c *collector) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var m store.Message
			if err := json.Unmarshal(lines.Bytes(), &m); err == nil {
				c.messages <- m
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("collector: %v\n%s", err, log.String())
		}
	})
	for _, port := range []string{"22", "443", "587", "3306", "5432", "6443", "8444"} {
		c.reach(t, net.JoinHostPort(c.host, port))
	}
}

func (c *collector) reach(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func executable(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("HARDSTAND_BIN"); dir != "" {
		return filepath.Join(dir, "hardstand-collector")
	}
	file := filepath.Join(t.TempDir(), "hardstand-collector")
	if out, err := exec.Command("go", "build", "-o", file, "../../cmd/hardstand-collector").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func certify(t *testing.T, certFile, keyFile, host string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{certFile: certificate, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate
}

// intrude runs a client in the planted home, and wants it to fail.
func (c *collector) intrude(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir = c.Home
	cmd.Env = []string{"HOME=" + c.Home, "PATH=" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_SSL_CAINFO=" + c.ca, "CURL_CA_BUNDLE=" + c.ca}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%s got in: %s", program, out)
	}
	return string(out)
}

func (c *collector) want(t *testing.T, kind string, proof store.Proof) {
	t.Helper()
	select {
	case m := <-c.messages:
		i := m.Incident
		if i.Kind != store.KindToken || i.Decoy != kind || i.Proof != proof || i.Build != listentest.Build || !strings.HasPrefix(i.Source, "127.") {
			t.Errorf("told of %s %s, proof %s, from %s; want %s, proof %s", i.Kind, i.Decoy, i.Proof, i.Source, kind, proof)
		}
	case <-time.After(15 * time.Second):
		t.Errorf("nobody was told of %s", kind)
	}
}

func (c *collector) file(t *testing.T, name, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Home, name))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s holds no %s", name, pattern)
	}
	return string(found[1])
}

// TestRealClientsWithThePlantedFiles uses each credential file as an intruder
// would, and waits for the message that the collector sends.
func TestRealClientsWithThePlantedFiles(t *testing.T) {
	c := start(t)
	curl := func(arguments ...string) []string {
		return append([]string{"-sS", "--fail", "--max-time", "10"}, arguments...)
	}
	https := "https://" + c.host
	decoded := func(field, file string) string {
		text, err := base64.StdEncoding.DecodeString(c.file(t, ".kube/config", field+`: (\S+)`))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(c.Home, file)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	env := c.Credential("env")
	for _, use := range []struct {
		kind, program string
		arguments     []string
		proof         store.Proof
		says          string
	}{
		{"pgpass", "psql", []string{"-w", "-h", c.host, "-U", "app_" + c.Credential("pgpass").ID, "-d", "orders", "-c", "select 1"}, store.ProofSecret, "password authentication failed"},
		{"env", "psql", []string{"-w", c.file(t, ".env", `DATABASE_URL=(\S+)`), "-c", "select 1"}, store.ProofSecret, "password authentication failed"},
		{"mysql", "mariadb", []string{"--defaults-file=" + c.Home + "/.my.cnf", "-e", "select 1"}, store.ProofSecret, "Access denied for user"},
		{"ssh", "ssh", []string{"-F", c.Home + "/.ssh/config", "-i", c.Home + "/.ssh/id_ed25519", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "bastion"}, store.ProofKey, "Permission denied (publickey)"},
		{"netrc", "curl", curl("--netrc-file", c.Home+"/.netrc", https+"/backup.tar"), store.ProofSecret, "403"},
		{"git", "git", []string{"ls-remote", https + "/group/app.git"}, store.ProofSecret, "403"},
		{"npm", "curl", curl("-H", "Authorization: Bearer "+c.file(t, ".npmrc", `_authToken=(\S+)`), c.file(t, ".npmrc", `registry=(\S+)`)+"left-pad"), store.ProofSecret, "403"},
		{"docker", "curl", curl("-H", "Authorization: Basic "+c.file(t, ".docker/config.json", `"auth": "(\S+)"`), https+"/v2/app/manifests/latest"), store.ProofSecret, "403"},
		{"vault", "curl", curl("-H", "X-Vault-Token: "+c.file(t, ".vault-token", `(\S+)`), https+"/v1/secret/data/db"), store.ProofSecret, "403"},
		{"aws", "curl", curl("--aws-sigv4", "aws:amz:eu-central-1:iam", "--user", c.file(t, ".aws/credentials", `key_id = (\S+)`)+":"+c.file(t, ".aws/credentials", `secret_access_key = (\S+)`), "-d", "Action=ListUsers&Version=2010-05-08", c.file(t, ".aws/config", `endpoint_url = (\S+)`)), store.ProofKey, "403"},
		{"kubeconfig", "curl", curl("--cert", decoded("client-certificate-data", "client.crt"), "--key", decoded("client-key-data", "client.key"), c.file(t, ".kube/config", `server: (\S+)`)+"/api/v1/secrets"), store.ProofKey, "403"},
	} {
		t.Run(use.kind, func(t *testing.T) {
			if use.kind == "git" { // reads .netrc first, and would use that
				if err := os.Remove(filepath.Join(c.Home, ".netrc")); err != nil {
					t.Fatal(err)
				}
			}
			if said := c.intrude(t, use.program, use.arguments...); !strings.Contains(said, use.says) {
				t.Errorf("%s was told %q, want %q", use.program, said, use.says)
			}
			c.want(t, use.kind, use.proof)
		})
	}
	// One that was told of already joins its incident: the dashboard counts it.
	said := c.intrude(t, "curl", curl("--ssl-reqd", "--url", "smtp://"+c.host+":587", "--user", "app_"+env.ID+":"+env.Secret, "--mail-from", "a@example.com", "--mail-rcpt", "b@example.com", "-T", "/dev/null")...)
	if !strings.Contains(said, "Login denied") {
		t.Errorf("SMTP: %s", said)
	}
	c.dashboard(t)
}

// dashboard signs in to the running collector with a browser.
func (c *collector) dashboard(t *testing.T) {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: trust(t, c.ca)}}).Get("https://" + c.host + ":8444/signin")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("sign-in page: %d %v", resp.StatusCode, resp.Header)
	}
	var cookie string
	for _, one := range resp.Cookies() {
		cookie = one.Name
	}
	if !strings.HasPrefix(cookie, "__Host-") {
		t.Errorf("cookie %q", cookie)
	}
}

func trust(t *testing.T, file string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool}
}
