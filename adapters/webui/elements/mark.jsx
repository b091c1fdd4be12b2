/** Keylodge's mark, or the operator's logo where the page shows one. */
export const Mark = () => (
  <svg class="mark" viewBox="12 6 24 36" width="16" height="24" aria-hidden="true" focusable="false">
    <path fill-rule="evenodd" d="M24 6 36 15.4V24a2 2 0 0 1-2 2h-7.5v3.4H32v4.4h-5.5v3H31v4.4h-4.5V42h-5V26H14a2 2 0 0 1-2-2v-8.6zM20.5 21.5h7v-4.3a3.5 3.5 0 0 0-7 0z" />
  </svg>
);
