//go:build e2e

// Package collectorweb drives the dashboard with a real browser, and the
// credential listeners with real clients.
package collectorweb

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/web"
	"github.com/hardstand/hardstand/canary/collector/web/webtest"
)

// desk is a dashboard, its sign-in provider and a browser.
type desk struct {
	*httptest.Server
	store    store.Store
	provider *webtest.Provider
	token    string
	browser  context.Context
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{Server: httptest.NewUnstartedServer(nil), store: webtest.Store(t), provider: webtest.NewProvider(t, "collector")}
	d.Start()
	t.Cleanup(d.CloseClientConnections)
	token, hash := web.NewToken()
	d.token = token
	dashboard, err := web.New(web.Options{Store: d.store, BaseURL: d.URL, AdminHash: hash, Version: "dev", OIDC: &web.OIDC{
		Name: "Example ID", Issuer: d.provider.URL, ClientID: "collector", Viewer: []string{"staff"}, Responder: []string{"oncall"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.Config.Handler = dashboard
	d.browser = browser(t)
	return d
}

// browser starts Debian's chromium. What a page writes to the console as an
// error, a violation of the policy among it, fails the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing; scripts/e2e installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("no-sandbox", os.Getuid() == 0),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1280, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); cancel() })
	ctx, done := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(done)
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !strings.Contains(e.Entry.Text, "401") {
				t.Errorf("browser: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("browser: %v", e.ExceptionDetails)
		}
	})
	return ctx
}

func (d *desk) do(t *testing.T, actions ...step) {
	t.Helper()
	if err := chromedp.Run(d.browser, actions...); err != nil {
		var text string
		_ = chromedp.Run(d.browser, chromedp.Evaluate("document.body.innerText", &text))
		t.Fatalf("%v; the page says: %s", err, text)
	}
}

func (d *desk) text(t *testing.T, selector string) string {
	t.Helper()
	return strings.Join(strings.Fields(value[string](t, d, fmt.Sprintf("document.querySelector(%q).textContent", selector))), " ")
}

type step = chromedp.Action

// value evaluates an expression in the page.
func value[T any](t *testing.T, d *desk, expression string) (v T) {
	t.Helper()
	d.do(t, chromedp.Evaluate(expression, &v))
	return v
}

// until waits for text in an element that scripts may replace at any time.
func until(selector, text string) step {
	const patience = 15 * time.Second
	script := fmt.Sprintf(`((document.querySelector(%q) || {}).innerText || "").includes(%q)`, selector, text)
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			var there bool
			if err := chromedp.Evaluate(script, &there).Do(ctx); err == nil && there { // an error: the page is being replaced
				return nil
			}
		}
		return fmt.Errorf("%s does not say %q after %v", selector, text, patience)
	})
}

func (d *desk) signIn(t *testing.T) {
	t.Helper()
	d.do(t, chromedp.Navigate(d.URL), chromedp.SendKeys("#token", d.token, chromedp.ByQuery), chromedp.Submit("#token", chromedp.ByQuery), until("header", "Sign out"))
}

// picture compares nothing: it writes docs/images where UPDATE=1 asks for it,
// and else only shows that the page can be drawn and is not blank.
func (d *desk) picture(t *testing.T, name string, full bool) {
	t.Helper()
	var png []byte
	d.do(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = page.CaptureScreenshot().WithCaptureBeyondViewport(full).WithFromSurface(true).Do(ctx)
		return err
	}))
	if len(png) < 10_000 {
		t.Errorf("%s: a picture of %d bytes is blank", name, len(png))
	}
	if os.Getenv("UPDATE") != "1" {
		return
	}
	if err := os.WriteFile(filepath.Join("../../docs/images", "collector-"+name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func dark(on bool) step {
	value := "light"
	if on {
		value = "dark"
	}
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}})
}

func TestSignInWithToken(t *testing.T) {
	d := open(t)
	d.do(t, chromedp.Navigate(d.URL+"/sinks"), chromedp.WaitVisible("#token", chromedp.ByQuery))
	d.picture(t, "signin", false)
	d.do(t, chromedp.SendKeys("#token", "wrong", chromedp.ByQuery), chromedp.Submit("#token", chromedp.ByQuery), until("[role=alert]", "not the right one"))
	d.do(t, chromedp.SendKeys("#token", d.token, chromedp.ByQuery), chromedp.Submit("#token", chromedp.ByQuery), until("h1", "Sinks"))
	if script := value[string](t, d, "document.cookie"); script != "" {
		t.Errorf("scripts can read %s", script)
	}
	d.do(t, chromedp.Click("form[action='/signout'] button", chromedp.ByQuery), until("h1", "Sign in"))
}

func TestSignInWithOIDC(t *testing.T) {
	d := open(t)
	d.provider.Person(map[string]any{"email": "ada@example.com", "email_verified": true, "groups": []string{"oncall"}}, nil)
	d.do(t, chromedp.Navigate(d.URL+"/canaries"), chromedp.Click("a[href^='/signin/oidc']", chromedp.ByQuery), until("h1", "Canaries"))
	if who := d.text(t, ".who .name"); !strings.Contains(who, "ada@example.com") || !strings.Contains(who, "responder") {
		t.Errorf("signed in as %q", who)
	}
}

func TestAnAlarmArrivesLive(t *testing.T) {
	d := open(t)
	now := time.Now()
	webtest.Fill(t, d.store, now)
	d.signIn(t)
	d.do(t, until("#live", "Live"), until("h1", "3 open incidents"))
	start := time.Now()
	alarm := webtest.Shell("shop-2026-11", time.Now())
	alarm.Event.Container, alarm.Decoy, alarm.Event.Decoy = strings.Repeat("0c3e", 16), "curl", "curl"
	webtest.Commit(t, d.store, alarm)
	d.do(t, until("h1", "4 open incidents"))
	t.Logf("shown %v after it was stored", time.Since(start))
	if said := d.text(t, "#announce"); said != "4 open incidents" {
		t.Errorf("screen readers are told %q", said)
	}
	d.picture(t, "now", false)
	d.do(t, dark(true))
	d.picture(t, "now-dark", false)
	d.do(t, dark(false))

	// Whoever is typing is asked first.
	d.do(t, chromedp.Navigate(d.URL+"/quiet"), chromedp.Click("#new-mute summary", chromedp.ByQuery), chromedp.SendKeys("#mute-reason", "half a sen", chromedp.ByQuery), until("#live", "Live"))
	webtest.Commit(t, d.store, webtest.Listing("shop-2026-11", time.Now()))
	d.do(t, chromedp.WaitVisible("#refresh", chromedp.ByQuery))
	if typed := value[string](t, d, "document.querySelector('#mute-reason').value"); typed != "half a sen" {
		t.Errorf("what was typed became %q", typed)
	}
	d.do(t, chromedp.Click("#refresh", chromedp.ByQuery), until("#open-count", "5"))
}

func TestAcknowledgeAndMute(t *testing.T) {
	d := open(t)
	now := time.Now()
	webtest.Fill(t, d.store, now)
	d.signIn(t)
	d.do(t, chromedp.Click(".incident.critical h3 a", chromedp.ByQuery), until("#tree", "How it came to be executed"))
	d.picture(t, "incident", true)
	d.do(t, chromedp.Click("form[action$='/acknowledge'] button", chromedp.ByQuery), until(".flash", "Acknowledged."), until(".story .lead", "Acknowledged"))
	d.do(t, chromedp.Click("#mute summary", chromedp.ByQuery), chromedp.SendKeys("#mute-reason", "drill with the platform team", chromedp.ByQuery),
		chromedp.Submit("#mute-reason", chromedp.ByQuery), until(".flash", "Muted."), until(".story .lead", "Muted until"))
	if log := d.text(t, "[aria-labelledby=log]"); !strings.Contains(log, "admin acknowledge") {
		t.Errorf("who did what: %s", log)
	}
	mutes, err := d.store.Mutes(t.Context(), time.Now())
	if err != nil || len(mutes) != 1 || mutes[0].Reason != "drill with the platform team" || mutes[0].By != "admin" || mutes[0].Until.Sub(now) > 2*time.Hour {
		t.Errorf("mutes %+v %v", mutes, err)
	}
	for name, path := range map[string]string{"canaries": "/canaries", "sinks": "/sinks", "timeline": "/timeline", "quiet": "/quiet"} {
		d.do(t, chromedp.Navigate(d.URL+path), chromedp.WaitVisible("h1", chromedp.ByQuery))
		d.picture(t, name, false)
	}
}

func TestOnAPhone(t *testing.T) {
	d := open(t)
	now := time.Now()
	webtest.Fill(t, d.store, now)
	odd := webtest.Commit(t, d.store, webtest.Odd("billing-2026-10", now))
	d.do(t, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	d.signIn(t)
	pages := []string{"/", "/timeline", "/incidents/1", fmt.Sprintf("/incidents/%d", odd.Incident), "/canaries", "/quiet", "/sinks", "/audit"}
	for _, path := range pages {
		d.do(t, chromedp.Navigate(d.URL+path), chromedp.WaitVisible("h1", chromedp.ByQuery))
		wide, narrow := value[int](t, d, "document.documentElement.scrollWidth"), value[int](t, d, "document.documentElement.clientWidth")
		small := value[[]string](t, d, `[...document.querySelectorAll("main button, main input:not([type=hidden]), main select, nav[aria-label=Main] a")].filter(e => e.offsetParent && e.getBoundingClientRect().height < 24).map(e => e.outerHTML)`)
		if wide > narrow {
			t.Errorf("%s is %d wide in a window of %d", path, wide, narrow)
		}
		if len(small) > 0 {
			t.Errorf("%s: too small for a finger: %v", path, small)
		}
	}
	d.do(t, chromedp.Navigate(d.URL))
	d.picture(t, "phone", false)
	d.do(t, chromedp.Navigate(d.URL+"/incidents/3"), chromedp.WaitVisible("h1", chromedp.ByQuery))
	d.picture(t, "phone-incident", false)
}

func TestWithoutJavaScript(t *testing.T) {
	d := open(t)
	id := webtest.Commit(t, d.store, webtest.Shell("shop", time.Now())).Incident
	d.do(t, emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(d.URL), chromedp.SendKeys("#token", d.token, chromedp.ByQuery), chromedp.Submit("#token", chromedp.ByQuery),
		chromedp.WaitVisible("form[action='/signout']", chromedp.ByQuery), chromedp.Navigate(fmt.Sprintf("%s/incidents/%d", d.URL, id)),
		chromedp.Click("form[action$='/acknowledge'] button", chromedp.ByQuery), chromedp.WaitVisible(".flash", chromedp.ByQuery))
	if i, err := d.store.GetIncident(t.Context(), id); err != nil || i.State != store.Acknowledged {
		t.Errorf("%+v %v", i, err)
	}
}

func TestKeyboardAndScreenReader(t *testing.T) {
	d := open(t)
	webtest.Fill(t, d.store, time.Now())
	d.signIn(t)
	// The first stop is the way past the navigation.
	d.do(t, chromedp.Navigate(d.URL), chromedp.WaitVisible("h1", chromedp.ByQuery), chromedp.KeyEvent("\t"))
	if first := value[string](t, d, "document.activeElement.textContent"); first != "Skip to content" {
		t.Errorf("first stop: %q", first)
	}
	d.do(t, chromedp.KeyEvent("\r"), chromedp.KeyEvent("\t"))
	if first := value[string](t, d, "document.activeElement.closest('main') ? 'in' : document.activeElement.outerHTML"); first != "in" {
		t.Errorf("after skipping: %s", first)
	}
	for _, path := range []string{"/", "/incidents/3", "/quiet", "/canaries"} {
		d.do(t, chromedp.Navigate(d.URL+path), chromedp.WaitVisible("h1", chromedp.ByQuery), chromedp.ActionFunc(func(ctx context.Context) error {
			// The library's own types refuse names that newer browsers use.
			type text struct {
				Value any `json:"value"`
			}
			var tree struct {
				Nodes []struct {
					Ignored bool  `json:"ignored"`
					Role    *text `json:"role"`
					Name    *text `json:"name"`
				} `json:"nodes"`
			}
			if err := cdp.Execute(ctx, "Accessibility.getFullAXTree", nil, &tree); err != nil {
				return err
			}
			roles := map[string]int{}
			for _, n := range tree.Nodes {
				if n.Ignored || n.Role == nil {
					continue
				}
				role := fmt.Sprint(n.Role.Value)
				roles[role]++
				switch role {
				case "button", "link", "textbox", "combobox", "heading", "navigation", "region":
					if n.Name == nil || fmt.Sprint(n.Name.Value) == "" {
						t.Errorf("%s: a %s without a name", path, role)
					}
				}
			}
			for _, role := range []string{"main", "banner", "navigation", "contentinfo", "heading"} {
				if roles[role] == 0 {
					t.Errorf("%s: no %s; there are %v", path, role, roles)
				}
			}
			return nil
		}))
	}
}

func TestNothingComesFromElsewhere(t *testing.T) {
	d := open(t)
	webtest.Fill(t, d.store, time.Now())
	webtest.Commit(t, d.store, webtest.Odd("shop-2026-11", time.Now()))
	var foreign []string
	chromedp.ListenTarget(d.browser, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok && !strings.HasPrefix(e.Request.URL, d.URL) {
			foreign = append(foreign, e.Request.URL)
		}
	})
	d.do(t, network.Enable())
	d.signIn(t)
	for _, path := range []string{"/", "/incidents/4", "/audit"} {
		d.do(t, chromedp.Navigate(d.URL+path), chromedp.WaitVisible("h1", chromedp.ByQuery))
	}
	if len(foreign) > 0 {
		t.Errorf("requests to %v", foreign)
	}
}
