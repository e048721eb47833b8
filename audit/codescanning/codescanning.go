// Package codescanning knows what GitHub's code scanning takes of a SARIF file,
// by "SARIF results exceed one or more limits" and "SARIF results file is too
// large" of its documentation.
package codescanning

import (
	"bytes"
	"compress/gzip"
	"unicode/utf8"
)

// It stores 5,000 results of a run, the severest first, and refuses a file with
// more than MaxResults, one that is larger than MaxZipped after gzip, and rules
// with more than MaxTags tags.
const (
	MaxResults = 25_000
	MaxZipped  = 10_000_000 // bytes
	MaxTags    = 20
	MaxText    = 1024 // of descriptions, in characters
	MaxMessage = 4096 // of results, in characters
)

// Limited returns the first document that has no more than zipped bytes after
// gzip. write makes one with at most so many results: results at first, then
// half as many of the total, and so on down to none.
func Limited(total, results, zipped int, write func(results int) ([]byte, error)) ([]byte, error) {
	for {
		data, err := write(results)
		if err != nil {
			return nil, err
		}
		if small, err := fits(data, zipped); err != nil || small || results == 0 {
			return data, err
		}
		results = min(results, total) / 2
	}
}

// fits reports whether data has no more than limit bytes after gzip.
func fits(data []byte, limit int) (bool, error) {
	if len(data) <= limit {
		return true, nil
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(data); err != nil {
		return false, err
	}
	if err := z.Close(); err != nil {
		return false, err
	}
	return zipped.Len() <= limit, nil
}

// Clip cuts a text after so many characters.
func Clip(text string, limit int) string {
	n := 0
	for i := range text {
		if n++; n == limit {
			if utf8.RuneCountInString(text[i:]) > 1 {
				return text[:i] + "…"
			}
			break
		}
	}
	return text
}
