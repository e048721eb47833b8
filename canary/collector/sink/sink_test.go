package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"gopkg.in/yaml.v3"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// message is one whose texts an intruder chose badly for us: mentions, links,
// a header, a change of writing direction.
func message() store.Message {
	return store.Message{
		ID: "k1:7", Reason: store.ReasonFirst, Link: "https://collector.example/incidents/7",
		Incident: store.Incident{
			ID: 7, DedupKey: "k1", Kind: store.KindDecoy, Severity: store.Critical, Title: "ls in web <!channel> @everyone\r\nBcc: x@example.com \u202egpj.exe",
			Build: "web-1", Image: "registry.example/web:1", Digest: "sha256:" + strings.Repeat("a", 64), Owner: "team-web", Route: "#alarms", Decoy: "ls",
			Container: strings.Repeat("c", 64), Parent: "/app", Origin: alert.FromInside, Source: "203.0.113.9:4444", Proof: store.ProofKey,
			First: now.Add(-time.Minute), Last: now, Count: 3,
		},
		Alarm: &store.Alarm{ID: 9, Kind: store.KindDecoy, Decoy: "ls", Event: &alert.Event{Build: "web-1", Decoy: "ls", Argv: []string{"ls", "[x](http://evil.example)", "*_`<@U1>"}}},
	}
}

func resolved() store.Message {
	m := message()
	m.ID, m.Reason = "k1:8", store.ReasonResolved
	return m
}

const webhookKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func options() Options {
	return Options{
		Now: func() time.Time { return now }, Hostname: "collector-1",
		Getenv: func(name string) string {
			return map[string]string{"KEY": "s3cret-key", "AWSID": "AKIAEXAMPLE", "HOOKKEY": webhookKey, "OLDKEY": "whsec_" + strings.Repeat("QUJD", 10)}[name]
		},
		ReadFile: os.ReadFile,
	}
}

// open makes the one sink of a configuration in which URL stands for address.
func open(t *testing.T, text, address string, o Options) Sink {
	t.Helper()
	sinks, err := tryOpen(strings.ReplaceAll(text, "URL", address), o)
	if err != nil {
		t.Fatal(err)
	}
	return sinks[0]
}

func tryOpen(text string, o Options) ([]Sink, error) {
	var s Section
	if err := yaml.Unmarshal([]byte("allow-networks: [127.0.0.0/8, '::1/128']\nsinks:\n"+text), &s); err != nil {
		return nil, err
	}
	sinks, _, err := Open(s, o)
	return sinks, err
}

type received struct {
	*http.Request
	body string
}

// stub answers as told and keeps what it got.
func stub(t *testing.T, answer func(http.ResponseWriter)) (string, func() received) {
	t.Helper()
	got := make(chan received, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		got <- received{r, string(body)}
		answer(w)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() received {
		select {
		case r := <-got:
			return r
		default:
			t.Fatal("nothing arrived")
			return received{}
		}
	}
}

func status(code int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// TestWire sends the same messages through every HTTP sink and compares method,
// path, headers that matter and body with testdata/TYPE.golden.
func TestWire(t *testing.T) {
	t.Setenv("TZ", "UTC")
	for name, c := range map[string]struct {
		config  string
		answer  func(http.ResponseWriter)
		headers []string
	}{
		"slack":         {"- {type: slack, url: {file: URLFILE}}", status(200, "ok"), nil},
		"teams":         {"- {type: teams, url: {file: URLFILE}}", status(202, ""), nil},
		"discord":       {"- {type: discord, url: {file: URLFILE}}", status(204, ""), nil},
		"pagerduty":     {"- {type: pagerduty, url: URL/v2/enqueue, routing-key: {env: KEY}}", status(202, `{"status":"success","dedup_key":"k1"}`), nil},
		"opsgenie":      {"- {type: opsgenie, url: URL, api-key: {env: KEY}}", status(202, `{"result":"Request will be processed"}`), []string{"Authorization"}},
		"alertmanager":  {"- {type: alertmanager, url: URL/am, username: u, password: {env: KEY}}", status(200, ""), []string{"Authorization"}},
		"webhook":       {"- {type: webhook, url: {file: URLFILE}, keys: [{env: HOOKKEY}, {env: OLDKEY}]}", status(204, ""), []string{"Webhook-Id", "Webhook-Timestamp"}},
		"cloudevents":   {"- {type: cloudevents, url: URL/events, bearer-token: {env: KEY}}", status(202, ""), []string{"Authorization"}},
		"otlp":          {"- {type: otlp, url: URL, headers: {X-Scope-OrgID: {env: KEY}}}", status(200, `{"partialSuccess":{}}`), []string{"X-Scope-OrgID"}},
		"falcosidekick": {"- {type: falcosidekick, url: URL/}", status(200, "ok"), nil},
		"sns":           {"- {type: sns, url: URL, region: eu-central-1, topic-arn: 'arn:aws:sns:eu-central-1:123456789012:alarms.fifo', access-key-id: {env: AWSID}, secret-access-key: {env: KEY}}", status(200, "<PublishResponse/>"), []string{"X-Amz-Date"}},
		"securityhub":   {"- {type: securityhub, url: URL, region: eu-central-1, account: '123456789012', access-key-id: {env: AWSID}, secret-access-key: {env: KEY}}", status(200, `{"FailedCount":0,"SuccessCount":1,"FailedFindings":[]}`), []string{"X-Amz-Date"}},
	} {
		t.Run(name, func(t *testing.T) {
			address, got := stub(t, c.answer)
			file := filepath.Join(t.TempDir(), "url")
			if err := os.WriteFile(file, []byte(address+"/hook/T0/secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, strings.ReplaceAll(c.config, "URLFILE", file), address, options())
			var b strings.Builder
			for _, m := range []store.Message{message(), resolved()} {
				if err := s.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				r := got()
				fmt.Fprintf(&b, "%s %s\nContent-Type: %s\n", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"))
				for _, h := range c.headers {
					fmt.Fprintf(&b, "%s: %s\n", h, r.Header.Get(h))
				}
				b.WriteString("\n" + indented(r.body) + "\n\n")
			}
			golden(t, name, b.String())
		})
	}
}

func indented(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return strings.ReplaceAll(body, "&", "\n&")
	}
	text, _ := json.MarshalIndent(v, "", "  ")
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
}

func golden(t *testing.T, name, have string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE") == "1" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), have); diff != "" {
		t.Errorf("UPDATE=1 rewrites %s (-want +have):\n%s", file, diff)
	}
}

func TestAnswersAreClassed(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		after string
		final bool
		wait  time.Duration
	}{
		"bad request":         {400, "", true, 0},
		"gone":                {410, "", true, 0},
		"redirect":            {302, "", true, 0},
		"too many":            {429, "7", false, 7 * time.Second},
		"fraction":            {429, "0.5", false, 500 * time.Millisecond},
		"date":                {503, now.Add(time.Minute).Format(http.TimeFormat), false, time.Minute},
		"more than an hour":   {503, "999999999999", false, time.Hour},
		"negative":            {503, "-5", false, 0},
		"internal":            {500, "", false, 0},
		"not a number":        {429, "NaN", false, 0},
		"not implemented":     {501, "", true, 0},
		"timeout of the peer": {408, "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := stub(t, func(w http.ResponseWriter) {
				w.Header().Set("Retry-After", c.after)
				w.Header().Set("Location", "http://169.254.169.254/")
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			})
			err := open(t, "- {type: cloudevents, url: URL/path-secret}", address, options()).Send(t.Context(), message())
			if err == nil || Final(err) != c.final || After(err) != c.wait {
				t.Errorf("final %v, after %v: %v", Final(err), After(err), err)
			}
			if len(err.Error()) > 400 {
				t.Errorf("error repeats %d bytes of the answer", len(err.Error()))
			}
		})
	}
}

func TestErrorsDoNotTellSecrets(t *testing.T) {
	address, _ := stub(t, status(404, "no such hook: /services/T0/B0/s3cret?k=s3cret"))
	file := filepath.Join(t.TempDir(), "url")
	for _, target := range []string{address + "/services/T0/B0/s3cret?k=s3cret", "http://127.0.0.1:1/services/T0/B0/s3cret"} {
		if err := os.WriteFile(file, []byte(target), 0o600); err != nil {
			t.Fatal(err)
		}
		err := open(t, "- {type: slack, url: {file: "+file+"}}", "", options()).Send(t.Context(), message())
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("error: %v", err)
		}
	}
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen("- {type: slack, url: {file: "+file+"}}", options()); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error: %v", err)
	}
}

func TestPrivateAddressesAreRefusedUnlessListed(t *testing.T) {
	g := guard{}
	for _, a := range []string{"127.0.0.1:80", "10.0.0.1:443", "169.254.169.254:80", "192.168.1.1:80", "172.16.0.1:80", "100.64.0.1:80", "0.0.0.0:80", "224.0.0.1:80",
		"[::1]:80", "[fe80::1]:80", "[fd00::1]:80", "[::ffff:10.0.0.1]:80", "[64:ff9b::a00:1]:80", "[2002:a00:1::]:80", "255.255.255.255:80", "no address"} {
		if g.check(a) == nil {
			t.Errorf("%s is allowed", a)
		}
	}
	for _, a := range []string{"1.1.1.1:443", "[2606:4700::1111]:443"} {
		if err := g.check(a); err != nil {
			t.Error(err)
		}
	}
	address, _ := stub(t, status(200, ""))
	var s Section
	if err := yaml.Unmarshal([]byte("allow-networks: [10.0.0.0/8]\nsinks: [{type: falcosidekick, url: "+address+"}]"), &s); err != nil {
		t.Fatal(err)
	}
	sinks, _, err := Open(s, options())
	if err != nil {
		t.Fatal(err)
	}
	if err := sinks[0].Send(t.Context(), message()); !Final(err) || !strings.Contains(err.Error(), "allow-networks") {
		t.Errorf("loopback: %v", err)
	}
}

func TestMistakesInTheConfigurationSayWhatToDo(t *testing.T) {
	for text, want := range map[string]string{
		"- {type: pigeon}":                                                       "there are alertmanager",
		"- {name: 'a b', type: stdout}":                                          "use up to 64",
		"- {type: stdout, min: loud}":                                            "there are info",
		"- {type: stdout, timeout: 2h}":                                          "between 0 and 1m",
		"- {type: slack, url: https://hooks.example/x}":                          "a secret is not written here",
		"- {type: slack}":                                                        "url is missing",
		"- {type: slack, url: {env: NONE}}":                                      "NONE is empty",
		"- {type: slack, url: {env: KEY, file: x}}":                              "{file: PATH} or {env: NAME}",
		"- {type: slack, url: {env: KEY}, channel: x}":                           "channel is not a setting",
		"- {type: pagerduty, routing-key: {file: /none}}":                        "no such file",
		"- {type: webhook, url: {env: KEY}}":                                     "address",
		"- {type: email, host: h, from: x, to: [y]}":                             "no address",
		"- {type: email, host: h, from: a@b, to: [a@b], tls: none, username: u}": "not sent without TLS",
		"- {type: syslog, address: h, network: sctp}":                            "want udp, tcp or tls",
		"- {type: syslog, address: h, facility: mine}":                           "facility",
		"- {type: sns, region: here, topic-arn: 'arn:x'}":                        "no region",
		"- {type: securityhub, account: '12'}":                                   "twelve digits",
		"- {type: alertmanager, url: 'ftp://x'}":                                 "not an https or http",
		"- {type: alertmanager, url: 'https://u:p@x'}":                           "holds a user",
		"- {type: stdout}\n- {type: stdout}":                                     "used twice",
		"- nonsense":                                                             "a sink is a mapping",
	} {
		if _, err := tryOpen(text, options()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestFiltersComeWithTheSinks(t *testing.T) {
	var s Section
	if err := yaml.Unmarshal([]byte("sinks: [{name: a, type: stdout, min: high, route: '#x'}, {type: stdout}]"), &s); err != nil {
		t.Fatal(err)
	}
	_, filters, err := Open(s, options())
	want := []store.SinkFilter{{Name: "a", Min: store.High, Route: "#x"}, {Name: "stdout"}}
	if err != nil || !cmp.Equal(filters, want) {
		t.Errorf("filters %v, %v", filters, err)
	}
}

func TestStdoutWritesOneLine(t *testing.T) {
	o := options()
	var b strings.Builder
	o.Stdout = &b
	if err := open(t, "- {type: stdout}", "", o).Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	var back store.Message
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || strings.Count(b.String(), "\n") != 1 || !cmp.Equal(back, message()) {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestEscalationEndsTheLowerAlerts(t *testing.T) {
	address, got := stub(t, status(200, ""))
	m := message()
	m.Reason, m.Incident.Severity = store.ReasonEscalated, store.Medium
	if err := open(t, "- {type: alertmanager, url: URL}", address, options()).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var alerts []struct {
		Labels map[string]string
		EndsAt time.Time
	}
	if err := json.Unmarshal([]byte(got().body), &alerts); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, a := range alerts {
		have[a.Labels["severity"]] = a.EndsAt.After(now)
	}
	if diff := cmp.Diff(map[string]bool{"info": false, "low": false, "medium": true}, have); diff != "" {
		t.Error(diff)
	}
}

func TestAnswersWithin200AreRead(t *testing.T) {
	for config, answer := range map[string]string{
		"- {type: otlp, url: URL}": `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}`,
		"- {type: securityhub, url: URL, region: eu-central-1, account: '123456789012', access-key-id: {env: AWSID}, secret-access-key: {env: KEY}}": `{"FailedCount":1,"FailedFindings":[{"Id":"x","ErrorCode":"InvalidInput","ErrorMessage":"too old"}]}`,
	} {
		address, _ := stub(t, status(200, answer))
		if err := open(t, config, address, options()).Send(t.Context(), message()); !Final(err) || !strings.Contains(err.Error(), "too old") {
			t.Errorf("%s: %v", config, err)
		}
	}
	address, _ := stub(t, status(404, "{}"))
	if err := open(t, "- {type: opsgenie, url: URL, api-key: {env: KEY}}", address, options()).Send(t.Context(), resolved()); err != nil {
		t.Errorf("closing an alert that is gone: %v", err)
	}
}

func TestASlowReceiverIsGivenUp(t *testing.T) {
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer server.Close()
	defer close(done)
	start := time.Now()
	err := open(t, "- {type: falcosidekick, url: URL, timeout: 100ms}", server.URL, options()).Send(t.Context(), message())
	if err == nil || Final(err) || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, "- {type: falcosidekick, url: URL}", server.URL, options()).Send(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"a\u202eb\u200bc\x1b[1m\x00": `a\u{202e}b\u{200b}c\u{1b}[1m\u{0}`,
		"a\r\nb\tc":                  "a  b c",
		"grüße 漢字 😀":                 "grüße 漢字 😀",
		"\xff":                       `\ufffd`,
		"\u00a0":                     `\u{a0}`,
	} {
		if have := printable(in); have != want {
			t.Errorf("%q: %s, want %s", in, have, want)
		}
	}
	if cut("äöü", 4) != "…" && cut("äöü", 4) != "\u2026" {
		t.Error(cut("äöü", 4))
	}
}
