package web

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/web/webtest"
	"github.com/hardstand/hardstand/internal/deptest"
	"golang.org/x/net/html"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":           "what a decoy saw",
		"github.com/hardstand/hardstand/canary/collector/store": "the nouns",
		"github.com/coreos/go-oidc/v3/oidc":                     "sign-in",
		"github.com/go-jose/go-jose/v4/...":                     "of go-oidc",
		"golang.org/x/oauth2/...":                               "sign-in",
	})
}

// desk is a dashboard with somebody in front of it.
type desk struct {
	*httptest.Server
	*Dashboard
	store  store.Store
	token  string
	client *http.Client
	clock  *atomic.Int64 // seconds that the dashboard's clock is ahead
}

func open(t *testing.T, change func(*Options)) *desk {
	t.Helper()
	d := &desk{Server: httptest.NewUnstartedServer(nil), store: webtest.Store(t), clock: new(atomic.Int64)}
	d.Config.ReadTimeout = time.Second // event streams have to outlive it
	d.Start()
	t.Cleanup(func() {
		d.Stop()
		d.Close()
	})
	token, hash := NewToken()
	d.token = token
	o := Options{Store: d.store, BaseURL: d.URL, AdminHash: hash, Now: func() time.Time { return time.Now().Add(time.Duration(d.clock.Load()) * time.Second) }}
	if change != nil {
		change(&o)
	}
	var err error
	if d.Dashboard, err = New(o); err != nil {
		t.Fatal(err)
	}
	d.Config.Handler = d.Dashboard
	d.client = d.person(t)
	return d
}

func (d *desk) person(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 10 * time.Second}
}

func (d *desk) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	resp, err := d.client.Get(d.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body(t, resp)
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (d *desk) post(t *testing.T, path string, form url.Values) (*http.Response, string) {
	t.Helper()
	resp, err := d.client.PostForm(d.URL+path, form)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body(t, resp)
}

// form is what the first form of a page needs.
func (d *desk) form(t *testing.T, page string, pairs ...string) url.Values {
	t.Helper()
	_, text := d.get(t, page)
	found := csrfField.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no form: %s", page, text)
	}
	v := url.Values{"csrf": {found[1]}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func (d *desk) signIn(t *testing.T) {
	t.Helper()
	resp, text := d.post(t, "/signin", d.form(t, "/signin", "token", d.token))
	if resp.StatusCode != 200 || !strings.Contains(text, "Sign out") {
		t.Fatalf("signing in: %d %s", resp.StatusCode, text)
	}
}

func TestNothingIsShownToStrangers(t *testing.T) {
	d := open(t, nil)
	webtest.Fill(t, d.store, time.Now())
	for _, path := range []string{"/", "/timeline", "/incidents/1", "/canaries", "/quiet", "/sinks", "/audit"} {
		resp, text := d.get(t, path)
		if resp.Request.URL.Path != "/signin" || strings.Contains(text, "shop") && !strings.Contains(path, "shop") {
			t.Errorf("%s ends at %s", path, resp.Request.URL)
		}
	}
	if resp, _ := d.get(t, "/events"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("events: %d", resp.StatusCode)
	}
	for _, path := range []string{"/incidents/1/acknowledge", "/mutes", "/rules", "/canaries/shop-2026-11/revoke", "/signout"} {
		if resp, _ := d.post(t, path, url.Values{"csrf": {"x"}}); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestTokenSignIn(t *testing.T) {
	d := open(t, nil)
	form := d.form(t, "/signin", "token", "wrong", "next", "/sinks")
	if resp, text := d.post(t, "/signin", form); resp.StatusCode != 401 || !strings.Contains(text, "not the right one") {
		t.Errorf("wrong token: %d", resp.StatusCode)
	}
	form.Set("token", d.token)
	stolen := url.Values{"token": {d.token}, "csrf": {"forged"}}
	if resp, _ := d.post(t, "/signin", stolen); resp.StatusCode != 403 {
		t.Errorf("form of another site: %d", resp.StatusCode)
	}
	resp, _ := d.post(t, "/signin", form)
	if resp.Request.URL.Path != "/sinks" {
		t.Errorf("signed in at %s", resp.Request.URL)
	}
	here, _ := url.Parse(d.URL)
	var cookie string
	for _, c := range d.client.Jar.Cookies(here) {
		if c.Name == sessionCookie {
			cookie = c.Value
		}
	}
	if _, err := d.store.GetSession(t.Context(), cookie, time.Now()); err == nil || cookie == "" {
		t.Error("the store holds the cookie itself")
	}
	entries, err := d.store.Audit(t.Context(), 1)
	if err != nil || len(entries) != 1 || entries[0].By != "admin" || entries[0].Action != "sign in" {
		t.Errorf("audit %+v %v", entries, err)
	}
	if resp, _ := d.post(t, "/signout", d.form(t, "/")); resp.Request.URL.Path != "/signin" {
		t.Errorf("signed out at %s", resp.Request.URL)
	}
	if resp, _ := d.get(t, "/"); resp.Request.URL.Path != "/signin" {
		t.Error("still signed in")
	}
}

func TestGuessingIsSlow(t *testing.T) {
	d := open(t, nil)
	form := d.form(t, "/signin", "token", "guess")
	for n := range freeAttempts {
		if resp, _ := d.post(t, "/signin", form); resp.StatusCode != 401 {
			t.Fatalf("attempt %d: %d", n, resp.StatusCode)
		}
	}
	form.Set("token", d.token)
	if resp, _ := d.post(t, "/signin", form); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after %d guesses: %d", freeAttempts, resp.StatusCode)
	}
	d.clock.Add(31)
	if resp, _ := d.post(t, "/signin", form); resp.StatusCode != 200 {
		t.Errorf("half a minute later: %d", resp.StatusCode)
	}
	a := newAttempts()
	for n := range maxSources + 10 {
		a.failed(fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255), time.Unix(0, 0))
	}
	if len(a.sources) > maxSources {
		t.Errorf("%d sources are kept", len(a.sources))
	}
	if a.wait("192.0.2.1:1", time.Unix(0, 0)) == 0 {
		t.Error("many sources together are not slowed down")
	}
}

func TestSessionsRotateAndEnd(t *testing.T) {
	d := open(t, nil)
	d.signIn(t)
	here, _ := url.Parse(d.URL)
	value := func() string {
		for _, c := range d.client.Jar.Cookies(here) {
			if c.Name == sessionCookie {
				return c.Value
			}
		}
		return ""
	}
	first := value()
	d.get(t, "/")
	if value() != first {
		t.Error("the cookie changes with every page")
	}
	d.clock.Add(31 * 60)
	form := d.form(t, "/")
	second := value()
	if second == first || second == "" {
		t.Error("the cookie was not replaced")
	}
	d.clock.Add(31)
	if _, err := d.store.GetSession(t.Context(), identity(first), d.Now()); err == nil {
		t.Error("the old cookie is still good")
	}
	if resp, _ := d.post(t, "/incidents/99/acknowledge", form); resp.StatusCode != 404 {
		t.Errorf("a form from before: %d", resp.StatusCode)
	}
	d.clock.Add(12 * 3600)
	if resp, _ := d.get(t, "/"); resp.Request.URL.Path != "/signin" {
		t.Error("the session has no end")
	}
}

func TestHeaders(t *testing.T) {
	token, hash := NewToken()
	_ = token
	d, err := New(Options{Store: webtest.Store(t), BaseURL: "https://alarms.example.com", AdminHash: hash})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://alarms.example.com/signin", nil))
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("no %s in %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error(csp)
	}
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Strict-Transport-Security": "max-age=31536000"} {
		if have := w.Header().Get(name); have != want {
			t.Errorf("%s: %s", name, have)
		}
	}
	cookie := w.Result().Cookies()[0]
	if cookie.Name != "__Host-"+preCookie || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("cookie %+v", cookie)
	}
	w = httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://alarms.example.com/signin", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if d.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("another site's request: %d", w.Code)
	}
}

func TestMistakesInOptions(t *testing.T) {
	_, hash := NewToken()
	s := webtest.Store(t)
	for name, o := range map[string]Options{
		"no base":    {Store: s, AdminHash: hash},
		"plain http": {Store: s, AdminHash: hash, BaseURL: "http://alarms.example.com"},
		"path":       {Store: s, AdminHash: hash, BaseURL: "https://alarms.example.com/x"},
		"nobody":     {Store: s, BaseURL: "https://alarms.example.com"},
		"bad hash":   {Store: s, BaseURL: "https://alarms.example.com", AdminHash: "password"},
		"no roles":   {Store: s, BaseURL: "https://alarms.example.com", OIDC: &OIDC{Issuer: "https://id.example", ClientID: "x"}},
		"http oidc":  {Store: s, BaseURL: "https://alarms.example.com", OIDC: &OIDC{Issuer: "http://id.example", ClientID: "x", Viewer: []string{"*"}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryPageIsWellFormedAndSafe(t *testing.T) {
	d := open(t, nil)
	now := time.Now()
	webtest.Fill(t, d.store, now)
	odd := webtest.Commit(t, d.store, webtest.Odd("shop-2026-11", now))
	who := store.Subject{Name: webtest.Hostile, Role: store.Responder}
	if _, err := d.store.AddMute(t.Context(), store.Mute{Build: "x", From: now, Until: now.Add(time.Hour), Reason: webtest.Hostile, By: who.Name}, who); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.AddIgnoreRule(t.Context(), store.IgnoreRule{Parent: "/usr/bin/b*", Reason: webtest.Hostile, By: who.Name}, who); err != nil {
		t.Fatal(err)
	}
	d.signIn(t)
	pages := []string{"/", "/timeline", "/timeline?state=open&build=shop-2026-11", "/canaries", "/quiet", "/sinks", "/audit", "/nowhere", "/incidents/999"}
	for id := range odd.Incident + 1 {
		pages = append(pages, fmt.Sprintf("/incidents/%d", id))
	}
	for _, path := range pages {
		_, text := d.get(t, path)
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "&lt;script&gt;\u202e") || strings.ContainsAny(text, "\u202e\u200b\x1b") {
			t.Errorf("%s repeats hostile text as it is", path)
		}
		checkPage(t, path, text)
	}
	_, text := d.get(t, fmt.Sprintf("/incidents/%d", odd.Incident))
	for _, want := range []string{"U+202E", "U+200B", "U+001B", "&lt;script&gt;alert(1)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the story does not show %s", want)
		}
	}
}

// checkPage looks for what screen readers and the policy need: one main, one
// h1, names for all controls, no inline script or style, unique ids.
func checkPage(t *testing.T, path, text string) {
	t.Helper()
	if !strings.HasSuffix(text, "</html>") {
		t.Errorf("%s is cut: %s", path, text[max(0, len(text)-200):])
	}
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	count, ids, labels := map[string]int{}, map[string]bool{}, map[string]bool{}
	var controls []map[string]string
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			count[n.Data]++
			attributes := map[string]string{"": n.Data}
			for _, a := range n.Attr {
				attributes[a.Key] = a.Val
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "href" && strings.HasPrefix(a.Val, "javascript:") {
					t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
				}
			}
			if id := attributes["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: id %s twice", path, id)
				}
				ids[id] = true
			}
			switch n.Data {
			case "script":
				if attributes["src"] == "" {
					t.Errorf("%s: inline script", path)
				}
			case "style":
				t.Errorf("%s: inline style", path)
			case "label":
				labels[attributes["for"]] = true
			case "input", "select":
				if attributes["type"] != "hidden" {
					controls = append(controls, attributes)
				}
			case "button", "a", "summary", "th", "h1", "h2":
				if strings.TrimSpace(words(n)) == "" && attributes["aria-label"] == "" {
					t.Errorf("%s: <%s> without a name", path, n.Data)
				}
			case "svg":
				if attributes["aria-hidden"] != "true" {
					t.Errorf("%s: svg that is read aloud", path)
				}
			}
			for _, name := range []string{"aria-labelledby"} {
				if attributes[name] != "" {
					defer func() {
						if !ids[attributes[name]] {
							t.Errorf("%s: %s names %s, which is not there", path, name, attributes[name])
						}
					}()
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	if count["h1"] != 1 || count["main"] != 1 || count["header"] < 1 || count["footer"] != 1 || count["title"] != 1 {
		t.Errorf("%s: h1 %d, main %d, header %d, title %d", path, count["h1"], count["main"], count["header"], count["title"])
	}
	for _, c := range controls {
		if !labels[c["id"]] && c["aria-label"] == "" {
			t.Errorf("%s: control %v without a label", path, c)
		}
	}
}

func words(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(words(c))
	}
	return b.String()
}

func TestResponder(t *testing.T) {
	d := open(t, nil)
	now := time.Now()
	webtest.Fill(t, d.store, now)
	id := webtest.Commit(t, d.store, webtest.Shell("shop-2026-11", now)).Incident
	d.signIn(t)
	page := fmt.Sprintf("/incidents/%d", id)
	for _, step := range []struct {
		path string
		form []string
		want string
	}{
		{page + "/acknowledge", nil, "Acknowledged."},
		{page + "/assign", []string{"me", "yes"}, "Assigned."},
		{page + "/mute", []string{"for", "1h", "reason", "drill"}, "Muted until"},
		{"/mutes", []string{"build", "shop-2026-11", "for", "1h", "reason", "window"}, "window"},
		{"/mutes/MUTE/end", nil, "The mute has ended."},
		{"/rules", []string{"parent", "/usr/bin/backup", "argv", "tar *", "for", "168h", "reason", "known"}, "/usr/bin/backup"},
		{"/rules/RULE/remove", nil, "The rule was removed."},
		{"/canaries/billing-2026-10/revoke", []string{"revoked", "yes"}, "Trust again"},
		{page + "/resolve", []string{"note", "false alarm"}, "Resolved."},
	} {
		if strings.Contains(step.path, "MUTE") {
			mutes, err := d.store.Mutes(t.Context(), now)
			if err != nil || len(mutes) != 2 {
				t.Fatalf("mutes %v %v", mutes, err)
			}
			step.path = strings.Replace(step.path, "MUTE", fmt.Sprint(mutes[0].ID), 1)
		}
		if strings.Contains(step.path, "RULE") {
			rules, err := d.store.IgnoreRules(t.Context())
			if err != nil || len(rules) != 1 {
				t.Fatalf("rules %v %v", rules, err)
			}
			step.path = strings.Replace(step.path, "RULE", fmt.Sprint(rules[0].ID), 1)
		}
		resp, text := d.post(t, step.path, d.form(t, page, step.form...))
		if resp.StatusCode != 200 || !strings.Contains(text, step.want) {
			t.Errorf("%s: %d, no %q in the page", step.path, resp.StatusCode, step.want)
		}
	}
	i, err := d.store.GetIncident(t.Context(), id)
	if err != nil || i.State != store.Resolved || i.Assignee != "admin" || i.AcknowledgedBy != "admin" {
		t.Errorf("%+v %v", i, err)
	}
	for path, form := range map[string][]string{
		page + "/mute": {"for", "1h"},
		"/mutes":       {"for", "1h", "reason", "everything"},
		"/mutes?":      {"build", "x", "for", "9000h", "reason", "r"},
		"/mutes?x":     {"build", strings.Repeat("x", 999), "for", "1h", "reason", "r"},
		"/rules":       {"reason", "everything"},
		"/rules?":      {"parent", "[", "for", "1h", "reason", ""},
	} {
		if resp, text := d.post(t, path, d.form(t, "/", form...)); resp.StatusCode != 400 || !strings.Contains(text, "Not done") {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestChangesNeedTheFormsToken(t *testing.T) {
	d := open(t, nil)
	id := webtest.Commit(t, d.store, webtest.Shell("shop", time.Now())).Incident
	d.signIn(t)
	for _, csrf := range []string{"", "x", strings.Repeat("A", 43)} {
		if resp, _ := d.post(t, fmt.Sprintf("/incidents/%d/acknowledge", id), url.Values{"csrf": {csrf}}); resp.StatusCode != 403 {
			t.Errorf("token %q: %d", csrf, resp.StatusCode)
		}
	}
	if i, _ := d.store.GetIncident(t.Context(), id); i.State != store.Open {
		t.Error("it was acknowledged")
	}
}

func TestEventsTellOfChanges(t *testing.T) {
	d := open(t, nil)
	d.signIn(t)
	d.client.Timeout = 0
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := make(chan string, 100)
	go func() {
		scan := bufio.NewScanner(resp.Body)
		for scan.Scan() {
			if data, ok := strings.CutPrefix(scan.Text(), "data: "); ok {
				lines <- data
			}
		}
	}()
	next := func() string {
		select {
		case l := <-lines:
			return l
		case <-time.After(10 * time.Second):
			t.Fatal("no event")
			return ""
		}
	}
	first := next()
	time.Sleep(1200 * time.Millisecond)
	webtest.Commit(t, d.store, webtest.Shell("shop", time.Now()))
	if second := next(); second == first {
		t.Errorf("revision %s, then %s", first, second)
	}
}

func TestLocal(t *testing.T) {
	for in, want := range map[string]string{"/sinks": "/sinks", "": "/", "//evil": "/", "https://evil": "/", `/\evil`: "/", "/a\r\nb": "/"} {
		if have := local(in); have != want {
			t.Errorf("%q: %q", in, have)
		}
	}
}
