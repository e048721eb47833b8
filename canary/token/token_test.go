package token

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/internal/deptest"
	"gopkg.in/yaml.v3"
)

func TestDependsOnAlertOnly(t *testing.T) {
	deptest.Check(t, deptest.Allow{"github.com/hardstand/hardstand/canary/alert": "master secret"})
}

func master(t *testing.T, letter string) alert.Master {
	t.Helper()
	m, err := alert.ParseMaster([]byte("hardstand-canary-master-v1:" + strings.Repeat(letter, 42) + "E"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func options(t *testing.T) Options {
	return Options{Master: master(t, "A"), BuildID: "b1", Endpoint: "https://hooks.example.com:8443/c", Owner: "team", Route: "#alarms"}
}

func mustMake(t *testing.T, o Options) (Result, map[string]string) {
	t.Helper()
	r, err := Make(o)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.Files {
		if f.ModTime.IsZero() || f.Mode&0o077 != 0 && !strings.HasSuffix(f.Path, ".pub") {
			t.Errorf("%s: mode %v, date %v", f.Path, f.Mode, f.ModTime)
		}
		files[strings.TrimPrefix(f.Path, "/home/nonroot/")] = string(f.Content)
	}
	return r, files
}

func TestEveryKindPointsAtTheCollector(t *testing.T) {
	r, files := mustMake(t, options(t))
	if len(r.Register.Tokens) != 12 || len(kinds) != 12 {
		t.Fatalf("%d kinds", len(r.Register.Tokens))
	}
	for _, token := range r.Register.Tokens {
		var all string
		for _, p := range token.Paths {
			all += files[strings.TrimPrefix(p, "/home/nonroot/")]
		}
		if !strings.Contains(all, "hooks.example.com") || token.ID == "" || token.Proof == "" {
			t.Errorf("%s does not call home: %+v\n%s", token.Kind, token, all)
		}
	}
	for file, pattern := range map[string]string{
		".aws/credentials":    `(?m)^aws_access_key_id = AKIA[A-Z2-7]{16}\naws_secret_access_key = .{40}$`,
		".aws/config":         `(?m)^endpoint_url = https://hooks\.example\.com:8443/c$`,
		".npmrc":              `(?m)^//hooks\.example\.com:8443/c/npm/:_authToken=npm_\w{36}$`,
		".netrc":              `^machine hooks\.example\.com\n  login svc-\w+\n  password \S+\n$`,
		".git-credentials":    `^https://ci-\w+:glpat-\w{20}@hooks\.example\.com:8443\n$`,
		".pgpass":             `^hooks\.example\.com:5432:\*:app_\w+:\w+\n$`,
		".my.cnf":             `^\[client\]\nhost=hooks\.example\.com\n`,
		".vault-token":        `^hvs\.\w{24}$`,
		".env":                `(?m)^DATABASE_URL=postgres://app_\w+:\w+@hooks\.example\.com:5432/app`,
		".ssh/id_ed25519.pub": `^ssh-ed25519 AAAA\S+ deploy@hooks\.example\.com\n$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(files[file]) {
			t.Errorf("%s:\n%s", file, files[file])
		}
	}
}

func TestDeterministicAndUnique(t *testing.T) {
	first, files := mustMake(t, options(t))
	again, _ := mustMake(t, options(t))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	o := options(t)
	o.BuildID = "b2"
	second, other := mustMake(t, o)
	for i, token := range second.Register.Tokens {
		if token.ID == first.Register.Tokens[i].ID {
			t.Errorf("%s: two images share the identity", token.Kind)
		}
	}
	for name, content := range other {
		if content == files[name] && name != ".aws/config" && name != ".gitconfig" {
			t.Errorf("%s: two images share the file", name)
		}
	}
	register, err := json.Marshal(first.Register)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		if strings.Contains(string(register), Derive(master(t, "A"), "b1", kind).Secret) {
			t.Errorf("the register holds the secret of %s", kind)
		}
	}
}

func TestKubeconfigHoldsAWorkingClientCertificate(t *testing.T) {
	_, files := mustMake(t, options(t))
	var config struct {
		Clusters []struct{ Cluster struct{ Server string } }
		Users    []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal([]byte(files[".kube/config"]), &config); err != nil {
		t.Fatal(err)
	}
	certificate, err1 := base64.StdEncoding.DecodeString(config.Users[0].User.Certificate)
	key, err2 := base64.StdEncoding.DecodeString(config.Users[0].User.Key)
	pair, err3 := tls.X509KeyPair(certificate, key)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	want := Derive(master(t, "A"), "b1", "kubeconfig").ClientKey().Public().(ed25519.PublicKey)
	if !want.Equal(leaf.PublicKey) || leaf.NotAfter.Before(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("certificate of %s until %v is not the collector's", leaf.Subject, leaf.NotAfter)
	}
	if config.Clusters[0].Cluster.Server != "https://hooks.example.com:8443" {
		t.Errorf("server %s", config.Clusters[0].Cluster.Server)
	}
}

func TestServiceAccountKeyParses(t *testing.T) {
	_, files := mustMake(t, options(t))
	var account map[string]string
	if err := json.Unmarshal([]byte(files[".config/gcloud/application_default_credentials.json"]), &account); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(account["private_key"]))
	if block == nil {
		t.Fatal("no key")
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
	if account["token_uri"] != "https://hooks.example.com:8443/c/token" {
		t.Error(account["token_uri"])
	}
}

func TestOpenSSHReadsTheKey(t *testing.T) {
	_, files := mustMake(t, options(t))
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("needs ssh-keygen")
	}
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(files[".ssh/id_ed25519"]), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-y", "-f", name).CombinedOutput()
	if err != nil || !strings.HasPrefix(files[".ssh/id_ed25519.pub"], strings.TrimSpace(string(out))) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMakeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no master":    {func(o *Options) { o.Master = alert.Master{} }, "keygen"},
		"no build id":  {func(o *Options) { o.BuildID = "" }, "build id"},
		"no endpoint":  {func(o *Options) { o.Endpoint = "" }, "endpoint"},
		"odd endpoint": {func(o *Options) { o.Endpoint = "ftp://x" }, "endpoint"},
		"line feed":    {func(o *Options) { o.Endpoint = "https://a\nb" }, "endpoint"},
		"odd host":     {func(o *Options) { o.Endpoint = "https://a'b/" }, "endpoint"},
		"user":         {func(o *Options) { o.Endpoint = "https://u:p@x/" }, "endpoint"},
		"odd kind":     {func(o *Options) { o.Kinds = []string{"gitlab"} }, "kind"},
		"twice":        {func(o *Options) { o.Kinds = []string{"aws", "aws"} }, "twice"},
		"odd home":     {func(o *Options) { o.Home = "home/../x" }, "home"},
		"taken":        {func(o *Options) { o.Shadowed = func(p string) bool { return p == "/home/nonroot/.profile" } }, "taken"},
	} {
		o := options(t)
		c.change(&o)
		if _, err := Make(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestEndpointsOfOtherServices(t *testing.T) {
	for in, want := range map[string]string{
		"http://canarytokens.com/terms/abc123/index.html": "http://canarytokens.com/terms/abc123/index.html",
		"abc123.canarytokens.com":                         "https://abc123.canarytokens.com",
		" https://c.example:8443 ":                        "https://c.example:8443",
	} {
		if u, err := ParseEndpoint(in); err != nil || u.String() != want {
			t.Errorf("%s: %v %v", in, u, err)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	f.Add("https://c.example:8443/x")
	f.Add("abc.canarytokens.com")
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := ParseEndpoint(text); err == nil && strings.ContainsAny(u.Hostname(), " \n\"'@/\\") {
			t.Errorf("%q gives host %q", text, u.Hostname())
		}
	})
}

func TestIgnoreFilesCoverEveryToken(t *testing.T) {
	r, _ := mustMake(t, options(t))
	ignore := r.Register.IgnoreFiles()
	var trivy struct {
		Rules []struct{ Path string } `yaml:"allow-rules"`
	}
	if err := yaml.Unmarshal(ignore["trivy-secret.yaml"], &trivy); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files {
		matched := false
		for _, rule := range trivy.Rules {
			matched = matched || regexp.MustCompile(rule.Path).MatchString(f.Path)
		}
		if !matched || !strings.Contains(string(ignore["gitleaks.toml"]), regexp.QuoteMeta(f.Path[1:])) ||
			!strings.Contains(string(ignore["trufflehog-exclude.txt"]), regexp.QuoteMeta(f.Path[1:])) {
			t.Errorf("%s is not ignored", f.Path)
		}
	}
}
