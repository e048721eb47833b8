package api

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/hardstand/hardstand/canary/collector/listen/listentest"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/deptest"
	"gopkg.in/yaml.v3"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":            "of the book",
		"github.com/hardstand/hardstand/canary/token":            "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store":  "the nouns",
		"github.com/hardstand/hardstand/canary/collector/listen": "the book",
	})
}

// site is the collector as an intruder meets it.
type site struct {
	*listentest.Plant
	*httptest.Server
}

func open(t *testing.T) site {
	t.Helper()
	s := site{Server: httptest.NewUnstartedServer(nil)}
	s.Server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.Plant = listentest.New(t, s.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	s.Config.Handler = &Handler{Book: s.Book, Report: s.Report, Failed: func(err error) { t.Error(err) }}
	return s
}

func (s site) do(t *testing.T, method, path, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// sign as the SDK does, with what the credential file says.
func (s site) sign(t *testing.T, secret, service, body string) func(*http.Request) {
	c := s.Credential("aws")
	return func(r *http.Request) {
		sum := sha256.Sum256([]byte(body))
		hash := hex.EncodeToString(sum[:])
		if service == "s3" {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		}
		err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }).
			SignHTTP(t.Context(), aws.Credentials{AccessKeyID: c.ID, SecretAccessKey: secret}, r, hash, service, "eu-central-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWS(t *testing.T) {
	s := open(t)
	secret := s.Credential("aws").Secret
	const who = "Action=GetCallerIdentity&Version=2011-06-15"
	for _, try := range []struct {
		name, method, path, body, service, secret string
		proof                                     store.Proof
		code                                      int
		answer                                    string
	}{
		{"identity", "POST", "/", who, "sts", secret, store.ProofKey, 200, "<Arn>arn:aws:iam::"},
		{"wrong key", "POST", "/", who, "sts", "guess", store.ProofNone, 403, "SignatureDoesNotMatch"},
		{"roles", "POST", "/", "Action=ListRoles", "iam", secret, store.ProofKey, 403, "AccessDenied"},
		{"buckets", "GET", "/?list-type=2&prefix=a%20b%2Fc", "", "s3", secret, store.ProofKey, 403, "<Code>AccessDenied</Code>"},
		{"object", "GET", "/bucket/sch%C3%B6n%20%2B%2Fx", "", "s3", secret, store.ProofKey, 403, "AccessDenied"},
		{"function", "GET", "/2015-03-31/functions/a%20b", "", "lambda", secret, store.ProofKey, 403, "AccessDenied"},
	} {
		t.Run(try.name, func(t *testing.T) {
			code, answer := s.do(t, try.method, try.path, try.body, s.sign(t, try.secret, try.service, try.body))
			if code != try.code || !strings.Contains(answer, try.answer) {
				t.Errorf("%d %s", code, answer)
			}
			o := s.Want(t, "aws", try.proof)
			if o.Facts["service"] != try.service || (o.Nonce != "") != (try.proof == store.ProofKey) {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestAWSPresigned(t *testing.T) {
	s := open(t)
	c := s.Credential("aws")
	req, err := http.NewRequest(http.MethodGet, s.URL+"/bucket/key?X-Amz-Expires=900", nil)
	if err != nil {
		t.Fatal(err)
	}
	address, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: c.ID, SecretAccessKey: c.Secret}, req, "UNSIGNED-PAYLOAD", "s3", "eu-central-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for path, proof := range map[string]store.Proof{
		strings.TrimPrefix(address, s.URL): store.ProofKey,
		strings.Replace(strings.TrimPrefix(address, s.URL), "/bucket/key", "/bucket/other", 1): store.ProofNone,
	} {
		s.do(t, http.MethodGet, path, "", nil)
		s.Want(t, "aws", proof)
	}
}

func TestAWSReplayHasTheSameNonce(t *testing.T) {
	s := open(t)
	var headers http.Header
	sign := s.sign(t, s.Credential("aws").Secret, "sts", "Action=X")
	s.do(t, "POST", "/", "Action=X", func(r *http.Request) { sign(r); headers = r.Header.Clone() })
	s.do(t, "POST", "/", "Action=X", func(r *http.Request) { r.Header = headers })
	if a, b := s.Want(t, "aws", store.ProofKey), s.Want(t, "aws", store.ProofKey); a.Nonce != b.Nonce {
		t.Errorf("nonces %s, %s", a.Nonce, b.Nonce)
	}
	s.do(t, "POST", "/", "Action=Y", func(r *http.Request) { r.Header = headers })
	s.Want(t, "aws", store.ProofNone)
}

func TestKubernetes(t *testing.T) {
	s := open(t)
	text, err := os.ReadFile(filepath.Join(s.Home, ".kube/config"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `yaml:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	decode := func(s string) []byte { b, _ := base64.StdEncoding.DecodeString(s); return b }
	pair, err := tls.X509KeyPair(decode(file.Users[0].User.Certificate), decode(file.Users[0].User.Key))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(decode(file.Clusters[0].Cluster.CA))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}}}
	defer client.CloseIdleConnections()
	for path, want := range map[string]int{"/version": 200, "/api": 200, "/apis": 200, "/api/v1": 200, "/api/v1/secrets": 403, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": 403} {
		resp, err := client.Get(file.Clusters[0].Cluster.Server + path)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Kind, Message string }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want || want == 403 && (answer.Kind != "Status" || !strings.Contains(answer.Message, "is forbidden: User")) {
			t.Errorf("%s: %d %+v %v", path, resp.StatusCode, answer, err)
		}
		s.Want(t, "kubeconfig", store.ProofKey)
	}
	if code, answer := s.do(t, http.MethodGet, "/api/v1/secrets", "", nil); code != 401 || !strings.Contains(answer, `"kind":"Status"`) {
		t.Errorf("without a certificate: %d %s", code, answer)
	}
	s.None(t)
}

func TestPasswordsAndTokens(t *testing.T) {
	s := open(t)
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	d, n, g, v, e, npm := s.Credential("docker"), s.Credential("netrc"), s.Credential("git"), s.Credential("vault"), s.Credential("env"), s.Credential("npm")
	for name, try := range map[string]struct {
		path   string
		change func(*http.Request)
		kind   string
		proof  store.Proof
		code   int
		answer string
	}{
		"registry":           {"/v2/", basic("deploy-"+d.ID, d.Secret), "docker", store.ProofSecret, 200, "{}"},
		"registry, denied":   {"/v2/app/manifests/1", basic("deploy-"+d.ID, d.Secret), "docker", store.ProofSecret, 403, "DENIED"},
		"registry, guess":    {"/v2/", basic("deploy-"+d.ID, "guess"), "docker", store.ProofNone, 401, "UNAUTHORIZED"},
		"registry, stranger": {"/v2/", basic("root", "root"), "", "", 401, "UNAUTHORIZED"},
		"netrc":              {"/download", basic("svc-"+n.ID, n.Secret), "netrc", store.ProofSecret, 403, "Forbidden"},
		"git":                {"/group/app.git/info/refs?service=git-upload-pack", basic("ci-"+g.ID, g.Secret), "git", store.ProofSecret, 403, "not allowed"},
		"git, token":         {"/api/v4/projects", header("Private-Token", "x"), "", "", 401, "Unauthorized"},
		"npm":                {"/npm/left-pad", header("Authorization", "Bearer "+npm.Secret), "npm", store.ProofSecret, 403, "not permitted"},
		"npm, stranger":      {"/npm/left-pad", header("Authorization", "Bearer npm_x"), "", "", 401, "authentication required"},
		"vault":              {"/v1/secret/data/db", header("X-Vault-Token", v.Secret), "vault", store.ProofSecret, 403, "permission denied"},
		"vault, stranger":    {"/v1/secret/data/db", header("X-Vault-Token", "hvs.x"), "", "", 403, "permission denied"},
		"api":                {"/orders", header("Authorization", "Bearer "+e.ID+"."+e.Secret), "env", store.ProofSecret, 403, "Forbidden"},
		"api key":            {"/orders", header("X-Api-Key", e.ID+"."+e.Secret), "env", store.ProofSecret, 403, "Forbidden"},
		"nothing":            {"/", nil, "", "", 401, "Unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			code, answer := s.do(t, http.MethodGet, try.path, "", try.change)
			if code != try.code || !strings.Contains(answer, try.answer) {
				t.Errorf("%d %s", code, answer)
			}
			if try.kind == "" {
				s.None(t)
				return
			}
			s.Want(t, try.kind, try.proof)
		})
	}
}

func TestServiceAccount(t *testing.T) {
	s := open(t)
	text, err := os.ReadFile(filepath.Join(s.Home, ".config/gcloud/application_default_credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Key   string `json:"private_key"`
		Email string `json:"client_email"`
		URI   string `json:"token_uri"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(file.Key))
	planted, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		key    *rsa.PrivateKey
		issuer string
		proof  store.Proof
		answer string
	}{
		{planted.(*rsa.PrivateKey), file.Email, store.ProofKey, "account not found"},
		{foreign, file.Email, store.ProofNone, "Invalid JWT Signature"},
		{foreign, "somebody@example.com", "", "Invalid JWT Signature"},
	} {
		form := url.Values{grantField: {grantJWT}, "assertion": {jwt(t, try.key, try.issuer)}}.Encode()
		code, answer := s.do(t, http.MethodPost, strings.TrimPrefix(file.URI, s.URL), form, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		})
		if code != 400 || !strings.Contains(answer, try.answer) {
			t.Errorf("%d %s", code, answer)
		}
		if try.proof == "" {
			s.None(t)
			continue
		}
		if o := s.Want(t, "gcp", try.proof); o.Facts["scope"] != "cloud" {
			t.Errorf("facts %v", o.Facts)
		}
	}
}

func jwt(t *testing.T, key *rsa.PrivateKey, issuer string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	claims, _ := json.Marshal(map[string]any{"iss": issuer, "scope": "cloud", "aud": "https://x/token", "iat": 1, "exp": 2})
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(signature)
}

func TestALargeBodyIsNotRead(t *testing.T) {
	s := open(t)
	code, _ := s.do(t, http.MethodPut, "/v1/secret", strings.Repeat("x", 10*maxBody), func(r *http.Request) { r.Header.Set("X-Vault-Token", s.Credential("vault").Secret) })
	if code != 403 {
		t.Error(code)
	}
	s.Want(t, "vault", store.ProofSecret)
}

func FuzzSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIA/20261122/eu/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0f", 32), "a=b&c", "/x%20y")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=host,Signature=00", "%zz", "/%")
	f.Add("AWS4-HMAC-SHA256", "", "")
	f.Fuzz(func(t *testing.T, header, query, path string) {
		s, err := parseAuthorization(header)
		if err != nil {
			return
		}
		if s.keyID == "" || len(s.mac) != sha256.Size || len(s.headers) > maxSigned {
			t.Errorf("%+v from %q", s, header)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: path, RawQuery: query}
		if s.verify(call{Request: r}, "never the secret") {
			t.Errorf("verified %q", header)
		}
	})
}

func FuzzAssertion(f *testing.F) {
	encode := base64.RawURLEncoding.EncodeToString
	f.Add(encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"iss":"a@b"}`)) + ".AAAA")
	f.Add(encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"iss":"a@b"}`)) + ".")
	f.Add("..")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAssertion(text)
		if err == nil && (len(a.signature) == 0 || a.verify(&key.PublicKey)) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}
