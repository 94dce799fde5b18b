// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// logs answers kubectl logs, with its options tail, previous and follow.
func (s *nodeServer) logs(response http.ResponseWriter, request *http.Request) {
	w, err := s.runner.find(request.PathValue("namespace"), request.PathValue("pod"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	query := request.URL.Query()
	w.mu.Lock()
	c := w.containers[request.PathValue("container")]
	var path string
	var current *process
	if c != nil {
		incarnation := c.begun - 1
		current = c.process
		if query.Get("previous") == "true" {
			incarnation, current = incarnation-1, nil
		}
		path = c.logPath(max(incarnation, 0))
	}
	w.mu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		http.Error(response, "no log of that container", http.StatusNotFound)
		return
	}
	defer f.Close()
	if lines, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		skipToTail(f, lines)
	}
	_, _ = io.Copy(response, f)
	if query.Get("follow") == "true" && current != nil {
		follow(request.Context(), response, f, current)
	}
}

// follow copies what is added to the file until the process has ended.
func follow(ctx context.Context, response http.ResponseWriter, f *os.File, p *process) {
	flusher, _ := response.(http.Flusher)
	for ended := false; !ended && ctx.Err() == nil; {
		if flusher != nil {
			flusher.Flush()
		}
		select {
		case <-ctx.Done():
		case <-p.done:
			ended = true
		case <-time.After(200 * time.Millisecond):
		}
		_, _ = io.Copy(response, f)
	}
}

// skipToTail leaves the file at the beginning of its last lines. Logs here are small enough to be read whole.
func skipToTail(f *os.File, lines int) {
	content, err := io.ReadAll(f)
	if err != nil {
		return
	}
	end := bytes.TrimSuffix(content, []byte("\n"))
	for range lines {
		end = end[:max(bytes.LastIndexByte(end, '\n'), 0)]
	}
	offset := int64(len(end))
	if offset > 0 {
		offset++
	}
	_, _ = f.Seek(offset, io.SeekStart)
}
