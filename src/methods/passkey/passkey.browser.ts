/** For the scripts of a page whose forms send passkeys: see {@link enablePasskeyForms}. */
export const PASSKEY_SCRIPT_PATH = '/pages/passkey.js';

/**
 * Lets the forms of a page send passkeys. A form has these attributes:
 *
 * - `data-webauthn`: `get` to sign a challenge, `create` to register a passkey
 * - `data-options`: the options in JSON, or `data-options-path`: where a POST returns them
 * - `data-path`: where the passkey is sent in JSON with the other fields, and `data-return-to`: the page after it. Without them the
 *   form is sent with its field `credential`.
 * - `data-conditional`: also offers passkeys in an input with `autocomplete="username webauthn"`
 *
 * The server sends the source text of this function, so it uses nothing outside itself.
 */
export function enablePasskeyForms(): void {
  /** Ends the request that waits for a choice in an input: a browser allows one request at a time. */
  let waiting = new AbortController();
  /** Below the lifetime of a challenge, two minutes. */
  const RENEWAL_MS = 110_000;

  async function postJson(path: string, body: object, csrfToken?: string): Promise<unknown> {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(csrfToken && { 'X-CSRF-Token': csrfToken }) },
      body: JSON.stringify(body),
    });
    const json = (await response.json()) as { detail?: string };
    if (!response.ok) throw new Error(json.detail);
    return json;
  }

  /** The fields of a form, and its CSRF token, which JSON requests send in a header. */
  function fieldsOf(form: HTMLFormElement) {
    const {
      csrf_token,
      credential: _,
      ...fields
    } = Object.fromEntries(new FormData(form)) as Record<string, string>;
    return { fields: Object.fromEntries(Object.entries(fields).filter(([, value]) => value)), csrf_token };
  }

  async function requestCredential(form: HTMLFormElement, conditional?: AbortSignal): Promise<object> {
    const { webauthn, options, optionsPath = '' } = form.dataset;
    const json = options ? JSON.parse(options) : await postJson(optionsPath, {}, fieldsOf(form).csrf_token);
    const credential =
      webauthn === 'create'
        ? await navigator.credentials.create({
            publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(
              json as PublicKeyCredentialCreationOptionsJSON,
            ),
          })
        : await navigator.credentials.get({
            publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(
              json as PublicKeyCredentialRequestOptionsJSON,
            ),
            ...(conditional && { mediation: 'conditional', signal: conditional }),
          });
    return (credential as PublicKeyCredential).toJSON();
  }

  async function send(
    form: HTMLFormElement,
    credential: object,
    submitter?: HTMLElement | null,
  ): Promise<void> {
    const { path, returnTo = location.href } = form.dataset;
    if (path) {
      const { fields, csrf_token } = fieldsOf(form);
      await postJson(path, { ...fields, credential }, csrf_token);
      location.assign(returnTo);
      return;
    }
    form.querySelector<HTMLInputElement>('[name=credential]')!.value = JSON.stringify(credential);
    // Sends the form without another submit event for this script.
    form.dataset['webauthn'] = '';
    form.requestSubmit(submitter);
  }

  function showError(form: HTMLFormElement, error: unknown): void {
    const found = form.querySelector('[role=alert]');
    const alert = found ?? document.createElement('p');
    alert.className = 'error';
    alert.setAttribute('role', 'alert');
    // The browser's own errors are in English and reveal nothing, such as NotAllowedError.
    const isOwn = error instanceof Error && !(error instanceof DOMException) && error.message;
    alert.textContent = isOwn ? error.message : 'No passkey was used. Try again, or choose another way.';
    if (!found) form.prepend(alert);
  }

  async function submit(form: HTMLFormElement, submitter: HTMLElement | null): Promise<void> {
    waiting.abort();
    try {
      await send(form, await requestCredential(form), submitter);
    } catch (error) {
      showError(form, error);
    }
  }

  /** Offers passkeys in the browser's list for an input, until the challenge expires or with a new one, if the server gives one. */
  async function offerInInput(form: HTMLFormElement): Promise<void> {
    if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    for (;;) {
      const request = (waiting = new AbortController());
      const renewal = setTimeout(() => request.abort('renewal'), RENEWAL_MS);
      try {
        await send(form, await requestCredential(form, request.signal));
        return;
      } catch (error) {
        if (request.signal.reason === 'renewal' && form.dataset['optionsPath']) continue;
        if (!request.signal.aborted) showError(form, error);
        return;
      } finally {
        clearTimeout(renewal);
      }
    }
  }

  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-webauthn]')) {
    form.addEventListener('submit', (event) => {
      if (!form.dataset['webauthn']) return;
      event.preventDefault();
      void submit(form, event.submitter);
    });
    if ('conditional' in form.dataset) void offerInInput(form);
  }
}
