package option

import (
	"strings"
	"testing"

	"github.com/hardstand/hardstand/probe/internal/check"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// parse parses a command line without the program's name, arguments separated
// by spaces, in an environment given as NAME=value lines.
func parse(name, line, env string) (*Options, string) {
	o := new(Options)
	args := append([]string{name}, strings.Fields(line)...)
	var list []string
	if env != "" {
		list = strings.Split(env, "|")
	}
	problem := o.Parse(args, list, new(Memory))
	if problem.OK() {
		return o, ""
	}
	w := wire.NewBuffer(make([]byte, 1000))
	problem.Put(&w)
	return o, string(w.Bytes())
}

// target shows a check as its URL.
func target(c *check.Check) string {
	w := wire.NewBuffer(make([]byte, 1000))
	c.PutTarget(&w)
	return string(w.Bytes())
}

func TestTargets(t *testing.T) {
	tests := []struct{ line, env, want string }{
		{"", "", "http://localhost:8080/"},
		{"", "PORT=3000", "http://localhost:3000/"},
		{"", "PORT=3000|PROBE_PORT=4000", "http://localhost:4000/"},
		{"", "PROBE_PORT=tcp://10.0.0.1:80|PORT=3000", "http://localhost:3000/"},
		{"8080", "", "http://localhost:8080"},
		{":8080/healthz", "", "http://localhost:8080/healthz"},
		{"/healthz", "PORT=3000", "http://localhost:3000/healthz"},
		{"127.0.0.1:80/x", "", "http://127.0.0.1/x"},
		{"[::1]:81", "", "http://[::1]:81"},
		{"http://App_1.example:8080/a?secret=b", "", "http://App_1.example:8080/a"},
		{"http://localhost", "", "http://localhost"},
		{"http://0.0.0.0:8080", "", "http://127.0.0.1:8080"},
		{"https://app", "", "https://app"},
		{"grpc://:9000/my.Service", "", "grpc://localhost:9000/my.Service"},
		{"grpcs://app:443", "", "grpcs://app:443"},
		{"tcp://:5432", "", "tcp://localhost:5432"},
		{"fcgi://:9000", "", "fcgi://localhost:9000/ping"},
		{"fcgi://:9000/fpm-ping?json", "", "fcgi://localhost:9000/fpm-ping"},
		{"unix:///run/app.sock/healthz", "", "http+unix:///run/app.sock:/healthz"},
		{"unix:///run/app.sock", "", "http+unix:///run/app.sock"},
		{"unix:///run/app:/healthz", "", "http+unix:///run/app:/healthz"},
		{"unix://@app:/healthz", "", "http+unix://@app:/healthz"},
		{"grpc+unix:///run/app.socket/my.Service", "", "grpc+unix:///run/app.socket/my.Service"},
		{"fcgi+unix:///run/php.sock/ping", "", "fcgi+unix:///run/php.sock:/ping"},
		{"file:///run/health?max-age=30s&line=ok", "", "file:///run/health"},
		{":$APP_PORT/${PATH_:-healthz}", "APP_PORT=81", "http://localhost:81/healthz"},
		{":${APP_PORT:-82}", "APP_PORT=", "http://localhost:82"},
		{":8080/a$$b", "", "http://localhost:8080/a$b"},
		{":8080", "PORT=mail", "http://localhost:8080"},
		{"-- :8080", "", "http://localhost:8080"},
	}
	for _, tt := range tests {
		o, problem := parse("probe", tt.line, tt.env)
		if problem != "" || o.NChecks != 1 {
			t.Errorf("%q in %q: %s", tt.line, tt.env, problem)
			continue
		}
		if got := target(&o.Checks[0]); got != tt.want {
			t.Errorf("%q in %q is %s, want %s", tt.line, tt.env, got, tt.want)
		}
	}
}

func TestProblems(t *testing.T) {
	tests := []struct{ line, env, want string }{
		{"0", "", "invalid 0: it has no port from 1 to 65535"},
		{"65536", "", "invalid 65536: it has a port above 65535"},
		{":http", "", "invalid :http: it has a port that is not a number"},
		{"-5", "", "invalid -5: it is not a flag of probe"},
		{"ftp://x", "", "unknown scheme"},
		{"tcp://x", "", "names no port"},
		{"grpc://:1?x", "", "query"},
		{"tcp://:1/x", "", "path"},
		{"http://a@b/", "", "user name"},
		{"http://[::1/", "", "no ]"},
		{"http://[1.2.3.4]/", "", "IPv6"},
		{"http://1.2.3.4.5/", "", "malformed IPv4"},
		{"http://1.2.3.999/", "", "malformed IPv4"},
		{"http://ex%41mple/", "", "malformed host"},
		{":80/a#b", "", "fragment"},
		{":80/a\x01b", "", "control"},
		{":80?x", "", "query without a path"},
		{"unix://run/app.sock", "", "absolute socket path"},
		{"unix:///" + strings.Repeat("x", 110), "", "107 bytes"},
		{"file://run/x", "", "absolute path"},
		{"file:///x?age=3s", "", "unknown parameter"},
		{"file:///x?max-age=3", "", "not a duration"},
		{"--timout 2s", "", "invalid --timout: it is not a flag of probe"},
		{"--timeout", "", "invalid --timeout: it needs a value"},
		{"--timeout 2", "", "invalid --timeout: it is not a duration"},
		{"--timeout=0s", "", "invalid --timeout: it must be more than zero"},
		{"--timeout=25h", "", "not a duration"},
		{"--timeout=1.2.3s", "", "not a duration"},
		{"--status 2xx,abc", "", "invalid --status"},
		{"--method get", "", "capitals"},
		{"--method CONNECT", "", "tunnel"},
		{"--header nonsense", "", "'Name: value'"},
		{"--header Content-Length:5", "", "must set itself"},
		{"--redirects=any", "", "neither none nor same-host"},
		{"--exit-codes x", "", "neither plain nor detailed"},
		{"--body=", "", "empty"},
		{"--body-json x", "", "PATH=VALUE"},
		{"--insecure", "", "invalid --insecure: it does not apply to any of the targets"},
		{"--ca-file x http://a/", "", "does not apply to any"},
		{"https://a/ --insecure --ca-file x", "", "contradicts --ca-file"},
		{"https://a/ --cert-file x", "", "needs --key-file"},
		{"https://a/ --key-file x", "", "needs --cert-file"},
		{"tcp://:1 --status 200", "", "invalid --status: it does not apply to the target before it"},
		{":1 --method HEAD --body x", "", "HEAD"},
		{":1 --service x", "", "does not apply"},
		{":1 --insecure=perhaps https://a", "", "neither true nor false"},
		{":$NOPE/", "", "invalid :$NOPE/: it uses a variable that is not set"},
		{":${NOPE}/", "", "not set"},
		{":${NOPE", "", "without }"},
		{":${NOPE?x}", "", "neither ${NAME}"},
		{":8080/$", "", "without a name"},
		{"--host $BAD", "BAD=a\r\nb", "control"},
		{"--header X:$BAD", "BAD=a\r\nb", "invalid --header: it holds a control character"},
		{"", "PROBE_TIMEOUT=x", "invalid PROBE_TIMEOUT: it is not a duration"},
		{"", "PROBE_PORT=x", "invalid PROBE_PORT"},
		{"", "PORT=99999", "invalid PORT"},
		{strings.Repeat(":1 ", 17), "", "limit of 16"},
		{":1 " + strings.Repeat("--header A:b ", 17), "", "limit of 16"},
		{":1 $X$X", "X=" + strings.Repeat("x", 9000), "16 KiB"},
		{":1 --compat lprobe", "", "first argument"},
		{"--compat wget", "", "neither lprobe"},
	}
	for _, tt := range tests {
		if _, problem := parse("probe", tt.line, tt.env); !strings.Contains(problem, tt.want) || problem == "" {
			t.Errorf("%.60q in %.60q: %q, want %q", tt.line, tt.env, problem, tt.want)
		}
	}
}

// TestSecretsStayOut makes sure that a message names the flag, not its value.
func TestSecretsStayOut(t *testing.T) {
	for _, line := range []string{"--header=Bearer.hunter2", "--header Bearer.hunter2", "--key-file=hunter2", "--timeout=hunter2"} {
		if _, problem := parse("probe", line, ""); problem == "" || strings.Contains(problem, "hunter2") {
			t.Errorf("%s: %q", line, problem)
		}
	}
	if _, problem := parse("probe", ":1/?$T", "T=hun ter2"); problem == "" || strings.Contains(problem, "ter2") {
		t.Errorf("a target's problem is %q", problem)
	}
}

func TestScopeOfFlags(t *testing.T) {
	o, problem := parse("probe", "--status 204 :1 --host a :2 --status 3xx --host b", "PROBE_USER_AGENT=x|PROBE_HEADER=A: 1\nB: 2|PROBE_WAIT=1m")
	if problem != "" || o.NChecks != 2 {
		t.Fatalf("%d checks, %s", o.NChecks, problem)
	}
	a, b := &o.Checks[0], &o.Checks[1]
	if !a.Codes.Has(204) || a.Codes.Has(302) || a.HostName != "a" || b.Codes.Has(204) || !b.Codes.Has(302) || b.HostName != "b" {
		t.Error("a flag has gone to the wrong target")
	}
	if a.UserAgent != "x" || b.NHeaders != 2 || b.Headers[1] != "B: 2" || o.Wait != 60e9 {
		t.Errorf("the environment was not read: %q, %d headers, wait %d", a.UserAgent, b.NHeaders, o.Wait)
	}
}

func TestGlobalFlags(t *testing.T) {
	o, problem := parse("probe", ":1 --timeout 1.5s --wait 1m30s --interval 20ms -v --json --exit-codes=detailed", "PROBE_TIMEOUT=9s")
	if problem != "" || o.Timeout != 1.5e9 || o.Wait != 90e9 || o.Interval != 20e6 || !o.Verbose || !o.JSON || !o.Detailed {
		t.Errorf("%+v %s", o.Timeout, problem)
	}
	for line, want := range map[string]Action{"--help": ShowHelp, "-h": ShowHelp, "--version": ShowVersion, ":1": RunChecks} {
		if o, problem := parse("probe", line, ""); o.Action != want || problem != "" {
			t.Errorf("%s: action %d, %s", line, o.Action, problem)
		}
	}
}

func TestPeers(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"lprobe", "", "http://127.0.0.1:8080/"},
		{"/bin/lprobe", "-port=81 -endpoint=healthz -http-codes=200-299,302 -connect-timeout=2s", "http://127.0.0.1:81/healthz"},
		{"lprobe", "-ipv6 -port 81", "http://[::1]:81/"},
		{"lprobe", "-tls -tls-ca-cert ca.pem -port 443", "https://127.0.0.1/"},
		{"lprobe", "-mode=grpc -port=9000 -service=a.B -rpc-header=k:v", "grpc://127.0.0.1:9000/a.B"},
		{"lprobe", "-rpc-header Host:app -v", "http://127.0.0.1:8080/"},
		{"lprobe", "-gzip=false", "http://127.0.0.1:8080/"},
		{"probe", "--compat=lprobe -port=81", "http://127.0.0.1:81/"},
		{"probe", "--compat grpc_health_probe -addr=:5000", "grpc://localhost:5000"},
		{"grpc_health_probe", "-addr=localhost:5000 -service=x -connect-timeout 250ms -rpc-timeout=1s", "grpc://localhost:5000/x"},
		{"grpc_health_probe-linux-amd64", "-addr=unix:///run/app", "grpc+unix:///run/app"},
		{"grpc_health_probe", "-addr=dns:///app:1 -tls -tls-no-verify", "grpcs://app:1"},
	}
	for _, tt := range tests {
		o, problem := parse(tt.name, tt.line, "")
		if problem != "" {
			t.Errorf("%s %s: %s", tt.name, tt.line, problem)
			continue
		}
		if got := target(&o.Checks[0]); got != tt.want {
			t.Errorf("%s %s is %s, want %s", tt.name, tt.line, got, tt.want)
		}
	}
	o, _ := parse("grpc_health_probe", "-addr=:1 -connect-timeout 250ms", "")
	if !o.Detailed || o.Timeout != 1e9 || o.Checks[0].ConnectTimeout != 250e6 {
		t.Error("grpc_health_probe's exit codes or times are not kept")
	}
}

func TestPeerProblems(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"lprobe", "healthz", "is not a flag"},
		{"lprobe", "-mode=tcp", "neither http nor grpc"},
		{"lprobe", "-port=0", "invalid -port"},
		{"lprobe", "-port=-5", "invalid -port"},
		{"lprobe", "-port=99999", "invalid -port"},
		{"lprobe", "-port=1@evil", "invalid -port"},
		{"lprobe", "-http-codes=0-999999999", "invalid -http-codes"},
		{"lprobe", "-http-codes=2-xx", "invalid -http-codes"},
		{"lprobe", "-alts", "not supported"},
		{"lprobe", "-spiffe", "not supported"},
		{"lprobe", "-gzip", "not supported"},
		{"lprobe", "-service=x", "needs -mode=grpc"},
		{"lprobe", "-rpc-timeout=2s", "needs -mode=grpc"},
		{"lprobe", "-mode=grpc -endpoint=/x", "needs -mode=http"},
		{"lprobe", "-mode=grpc -http-codes=200", "needs -mode=http"},
		{"lprobe", "-connect-timeout=0s", "more than zero"},
		{"lprobe", "-tls-ca-cert=x", "needs -tls"},
		{"lprobe", "-tls-no-verify", "needs -tls"},
		{"lprobe", "-tls -tls-no-verify -tls-ca-cert=x", "contradicts"},
		{"lprobe", "-tls -tls-client-cert=x", "needs -tls-client-key"},
		{"lprobe", "-addr=:1", "not a flag of the program"},
		{"lprobe", "-port", "needs a value"},
		{"grpc_health_probe", "", "invalid -addr: it is missing"},
		{"grpc_health_probe", "-addr=host", "names no port"},
		{"grpc_health_probe", "-addr=host:1/x", "has a path"},
		{"grpc_health_probe", "-addr=:1 -port=1", "not a flag of the program"},
	}
	for _, tt := range tests {
		if _, problem := parse(tt.name, tt.line, ""); !strings.Contains(problem, tt.want) || problem == "" {
			t.Errorf("%s %s: %q, want %q", tt.name, tt.line, problem, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	w := wire.NewBuffer(make([]byte, 16<<10))
	Help(&w)
	for _, f := range flags {
		if !strings.Contains(string(w.Bytes()), "  "+f.name) {
			t.Errorf("the help lacks %s", f.name)
		}
	}
}

// TestNoAllocations keeps parsing usable where there is no heap.
func TestNoAllocations(t *testing.T) {
	args := []string{"probe", "--timeout=2s", ":$P/healthz", "--status", "2xx", "--header", "A: $B"}
	env := []string{"P=81", "B=c", "PROBE_WAIT=3s"}
	var o Options
	m := new(Memory)
	if n := testing.AllocsPerRun(10, func() { o = Options{}; o.Parse(args, env, m) }); n != 0 {
		t.Errorf("parsing allocates %v times", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("probe\x00--timeout=2s\x00:$P/${Q:-x}\x00--body-json\x00a=b", "P=1\x00PROBE_HEADER=A: b")
	f.Add("lprobe\x00-port\x0081", "")
	f.Add("grpc_health_probe\x00-addr=unix:///x\x00-tls", "")
	f.Add("probe\x00unix:///a.sock/b\x00grpc://[::1%2]:3/s\x00file:///x?max-age=1s", "PORT=5")
	f.Fuzz(func(t *testing.T, args, env string) {
		var o Options
		m := new(Memory)
		problem := o.Parse(strings.Split(args, "\x00"), strings.Split(env, "\x00"), m)
		if !problem.OK() || o.Action != RunChecks {
			return
		}
		if o.NChecks < 1 || o.Timeout <= 0 {
			t.Fatalf("accepted with %d checks, timeout %d", o.NChecks, o.Timeout)
		}
		for i := range o.NChecks {
			c := &o.Checks[i]
			for _, s := range append([]string{c.Path, c.Host, c.HostName, c.UserAgent, c.Method}, c.Headers[:c.NHeaders]...) {
				if strings.ContainsAny(s, "\r\n\x00") {
					t.Fatalf("%q would break the request", s)
				}
			}
			if c.Socket == "" && c.Kind != check.File && c.Port == 0 {
				t.Fatal("a check without a port")
			}
			target(c)
		}
	})
}
