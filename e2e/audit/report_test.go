//go:build e2e

// Package audit_test opens the HTML report of hardstand audit in a real
// browser: it must stay inside its own file, run nothing that it was not
// written to run, and be readable on a phone and on paper.
package audit_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/catalog"
	"github.com/hardstand/hardstand/audit/dockerfile"
	"github.com/hardstand/hardstand/audit/report"
)

// clock makes the report the same every day, so that screenshots change only
// with the page.
var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const sample = `FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN curl -fsSL https://example.org/install.sh | sh && go build -o /app ./cmd/app
FROM debian:trixie
# hardstand ignore=CHG-2.3b reason="mirrored and tested every week" until=2027-06-30
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
ENV DB_PASSWORD=hunter2
COPY --from=build /app /app
EXPOSE 8080
HEALTHCHECK CMD curl -f http://localhost:8080/healthz
CMD ["/app"]
`

// hostile is a file name that would be markup, script and a reversal of the
// text in a page that did not escape it.
const hostile = "svc/<img src=x onerror=document.title='owned'>\"'\u202e.Dockerfile"

func sampleReport(t *testing.T, name, text string) audit.Report {
	t.Helper()
	res, err := dockerfile.Audit(t.Context(), dockerfile.Input{Name: name, Data: []byte(text)}, dockerfile.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return audit.NewReport(audit.Tool{Name: "hardstand", Version: "1.0.0"}, audit.RuleSet, clock, res.Artifacts, catalog.Rules(), res.Findings, res.Notes)
}

// browser starts Debian's chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: run scripts/e2e, which installs it")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	return ctx
}

// watch records every request and every complaint of the browser.
type watch struct {
	mu         sync.Mutex
	requests   []string
	complaints []string
}

func (w *watch) event(ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		w.requests = append(w.requests, e.Request.URL)
	case *log.EventEntryAdded:
		w.complaints = append(w.complaints, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		w.complaints = append(w.complaints, e.ExceptionDetails.Error())
	}
}

func write(t *testing.T, r audit.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, "html", r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + file
}

func TestReportInBrowser(t *testing.T) {
	ctx := browser(t)
	w := &watch{}
	chromedp.ListenTarget(ctx, w.event)
	url := write(t, sampleReport(t, hostile, sample))
	var title, shown, text string
	var images, wide, phoneWide int
	var pdf []byte
	err := chromedp.Run(ctx, network.Enable(), log.Enable(), chromedp.Navigate(url), chromedp.WaitReady("#shown"),
		chromedp.Title(&title), chromedp.Text("#shown", &shown), chromedp.Text(".finding:not([hidden]) .where", &text, chromedp.ByQuery),
		chromedp.Evaluate("document.images.length", &images),
		chromedp.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth", &wide),
		emulation.SetDeviceMetricsOverride(360, 740, 2, true),
		chromedp.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth", &phoneWide),
		chromedp.ActionFunc(func(ctx context.Context) error {
			var err error
			pdf, _, err = page.PrintToPDF().WithPrintBackground(true).Do(ctx)
			return err
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	if title != "Container hardening audit" || images != 0 {
		t.Errorf("the hostile name took effect: title %q, %d images", title, images)
	}
	if !strings.Contains(text, "<img src=x") || strings.Contains(text, "\u202e") {
		t.Errorf("the hostile name is shown as %q", text)
	}
	if wide > 0 || phoneWide > 0 {
		t.Errorf("the page scrolls sideways: %d on a desk, %d on a phone", wide, phoneWide)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || len(pdf) < 10_000 {
		t.Errorf("the print is %d bytes", len(pdf))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.requests) != 1 || w.requests[0] != url {
		t.Errorf("requests %q, want the file alone", w.requests)
	}
	if len(w.complaints) > 0 {
		t.Errorf("the browser complains: %q", w.complaints)
	}
	if !strings.Contains(shown, " of ") {
		t.Errorf("the filter says %q", shown)
	}
}

func TestFilters(t *testing.T) {
	ctx := browser(t)
	count := func(into *int) chromedp.Action {
		return chromedp.Evaluate("Array.from(document.querySelectorAll('.finding')).filter(e => e.offsetParent !== null).length", into)
	}
	var first, passes, none, stage, search int
	r := sampleReport(t, "svc/Dockerfile", sample)
	err := chromedp.Run(ctx, chromedp.Navigate(write(t, r)), chromedp.WaitReady("#shown"), count(&first),
		chromedp.Click("input[value=pass]"), count(&passes),
		chromedp.Evaluate("for (const b of document.querySelectorAll('input[name=verdict]')) { b.checked = b.value === 'waived' } document.getElementById('filters').dispatchEvent(new Event('input'))", nil), count(&none),
		chromedp.Evaluate("for (const b of document.querySelectorAll('input[name=verdict]')) { b.checked = true } document.getElementById('stage').value = '3'; document.getElementById('filters').dispatchEvent(new Event('input'))", nil), count(&stage),
		chromedp.Evaluate("document.getElementById('stage').value = ''", nil),
		chromedp.Evaluate("document.getElementById('search').value = 'hunter2'; document.getElementById('filters').dispatchEvent(new Event('input'))", nil), count(&search),
	)
	if err != nil {
		t.Fatal(err)
	}
	open := r.Summary[audit.Fail] + r.Summary[audit.Warn] + r.Summary[audit.Unknown]
	if first != open || passes != open+r.Summary[audit.Pass] || none != r.Waived || stage != 1 {
		t.Errorf("shown %d, with passes %d, waived %d, stage 3 %d; want %d, %d, %d, 1", first, passes, none, stage, open, open+r.Summary[audit.Pass], r.Waived)
	}
	if search != 0 {
		t.Errorf("the secret's value is in %d findings", search)
	}
}

// TestScreenshots takes the pictures of the guide. UPDATE=1 writes them.
func TestScreenshots(t *testing.T) {
	ctx := browser(t)
	var desk, phone []byte
	err := chromedp.Run(ctx, emulation.SetDeviceMetricsOverride(1280, 900, 1, false), chromedp.Navigate(write(t, sampleReport(t, "svc/Dockerfile", sample))), chromedp.WaitReady("#shown"),
		chromedp.CaptureScreenshot(&desk),
		emulation.SetDeviceMetricsOverride(390, 844, 2, true), chromedp.CaptureScreenshot(&phone))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"audit-report.png": desk, "audit-report-phone.png": phone} {
		file := "../../docs/images/" + name
		if os.Getenv("UPDATE") != "" {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		// Fonts differ between machines, so only the shape is compared.
		if len(data) < 20_000 || !bytes.HasPrefix(data, []byte("\x89PNG")) {
			t.Errorf("%s: %d bytes are no picture of a report", name, len(data))
		}
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%v: run with UPDATE=1", err)
		}
	}
}
