// A person at the console, in a real Chromium; what was seen, as one JSON object. The test that calls it judges.
import { chromium } from 'playwright-core';
import axe from 'axe-core';

const { CHROMIUM, CONSOLE_URL, API_KEY, ADMIN_KEY, ACCOUNT, OTHER_ACCOUNT, REQUEST, OTHER_REQUEST, KEY_NAME } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
const seen = { complaints: [], violations: {} };

// A window of its own, whose complaints (scripts, content security policy) are heard.
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.on('console', (message) => {
    // Advice and news are no complaints, and an answer of 401 or 404 is meant.
    if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource')) seen.complaints.push(message.text());
  });
  page.on('pageerror', (error) => seen.complaints.push(String(error)));
  return page;
}

// What leads to another page, until that page is there.
const arrive = (page, act) => Promise.all([page.waitForEvent('load'), act()]);

async function signIn(page, key) {
  await page.goto(CONSOLE_URL);
  await page.getByLabel('API key').fill(key);
  const [answer] = await Promise.all([
    page.waitForResponse((answer) => answer.request().method() === 'POST'),
    arrive(page, () => page.keyboard.press('Enter')),
  ]);
  return answer.status();
}

const heading = (page) => page.getByRole('heading', { level: 1 }).innerText();
const path = (page) => new URL(page.url()).pathname + new URL(page.url()).search;
const rows = (page) => page.locator('main tbody tr').count();

// What axe finds at the levels A and AA and by best practice.
async function judge(page, name) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  seen.violations[name] = found.violations.map((one) => `${one.id}: ${one.nodes[0].html} ${one.nodes[0].failureSummary}`);
}

// What leaves the page's edge, on a phone.
const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// A wrong key, and the right one.
const page = await open();
seen.wrongKey = { status: await signIn(page, 'lyr_live_' + 'A'.repeat(43)), alert: await page.getByRole('alert').innerText(), path: path(page) };
await judge(page, 'sign-in');
seen.signIn = { status: await signIn(page, API_KEY), heading: await heading(page), path: path(page) };
const cookies = await page.context().cookies();
seen.cookies = cookies.map(({ name, path, httpOnly, sameSite, secure, value }) => ({ name, path, httpOnly, sameSite, secure, value }));
seen.overview = {
  charts: await page.locator('svg.chart:visible').count(),
  named: await page.getByRole('img', { name: 'Credits a day' }).count(),
  figures: await page.locator('.figures .value').allInnerTexts(),
};
await page.getByText('The same figures as a table').first().click();
seen.overview.table = await page.getByRole('table', { name: 'Usage by day' }).innerText();
await judge(page, 'overview');

// Filters and pages.
await arrive(page, () => page.getByRole('navigation', { name: 'Account' }).getByRole('link', { name: 'Requests' }).click());
seen.requests = { first: await rows(page), links: await page.locator('main tbody th a').evaluateAll((all) => all.map((a) => a.getAttribute('href'))) };
await judge(page, 'requests');
await arrive(page, () => page.getByRole('link', { name: 'Older' }).click());
seen.requests.second = await rows(page);
seen.requests.links.push(...(await page.locator('main tbody th a').evaluateAll((all) => all.map((a) => a.getAttribute('href')))));
await arrive(page, () => page.getByRole('link', { name: 'Newest' }).click());
await page.getByLabel('Status').selectOption('error');
await arrive(page, () => page.getByRole('button', { name: 'Search' }).click());
seen.requests.failed = { rows: await rows(page), statuses: await page.locator('main tbody .badge').allInnerTexts(), chosen: await page.getByLabel('Status').inputValue() };
await arrive(page, () => page.getByRole('link', { name: 'Reset' }).click());
await page.getByLabel('Model').fill('<script>document.title="x"</script>');
await arrive(page, () => page.getByRole('button', { name: 'Search' }).click());
seen.requests.none = await page.locator('.nothing').innerText();
seen.requests.typed = await page.getByLabel('Model').inputValue();
await arrive(page, () => page.getByRole('link', { name: 'Reset' }).click());
const keys = await page.locator('select[name=key] option').allTextContents();
seen.requests.hostileKey = keys.find((name) => name.includes('<script>'));
await page.getByLabel('From').fill('2020-01-01');
await arrive(page, () => page.getByRole('button', { name: 'Search' }).click());
seen.requests.tooLong = await heading(page);

// One request, found by its id.
await page.goto(`${CONSOLE_URL}/accounts/${ACCOUNT}/requests`);
await page.getByLabel('Request id').fill(REQUEST);
await arrive(page, () => page.keyboard.press('Enter'));
await page.waitForURL(`**/requests/${REQUEST}`);
seen.request = {
  timeline: await page.locator('.timeline h3').allInnerTexts(),
  receipt: await page.locator('.verdict').innerText(),
  checks: await page.locator('.checks li').allInnerTexts(),
  facts: await page.locator('.figures').innerText(),
};
await judge(page, 'request');

// Top-ups and keys.
const account = page.getByRole('navigation', { name: 'Account' });
await arrive(page, () => account.getByRole('link', { name: 'Top-ups' }).click());
seen.credits = await page.locator('main tbody').innerText();
await judge(page, 'credits');
await arrive(page, () => account.getByRole('link', { name: 'Keys' }).click());
seen.keys = { text: await page.locator('main tbody').innerText(), issue: await page.getByRole('button', { name: 'Issue' }).count() };
await judge(page, 'keys');

// What is somebody else's, and what is the operator's.
seen.others = {};
for (const to of [`accounts/${OTHER_ACCOUNT}`, `accounts/${OTHER_ACCOUNT}/requests`, `accounts/${OTHER_ACCOUNT}/requests/${OTHER_REQUEST}`, `accounts/${ACCOUNT}/requests/${OTHER_REQUEST}`, `accounts/${OTHER_ACCOUNT}/credits`, `accounts/${OTHER_ACCOUNT}/keys`, 'accounts/0190b2a4-0000-7000-8000-000000000001', 'accounts', 'requests', 'operations', 'nope']) {
  const answer = await page.goto(`${CONSOLE_URL}/${to}`);
  seen.others[to] = { status: answer.status(), text: await page.locator('main').innerText() };
}
await judge(page, 'not found');

// With the keyboard: the skip link comes first and is seen, and leads past the navigation.
await page.goto(`${CONSOLE_URL}/accounts/${ACCOUNT}`);
await page.keyboard.press('Tab');
const focused = () => page.evaluate(() => {
  const style = getComputedStyle(document.activeElement), place = document.activeElement.getBoundingClientRect();
  return { text: document.activeElement.innerText.trim(), outline: style.outlineStyle, width: parseFloat(style.outlineWidth), seen: place.top >= 0 && place.height > 0 };
});
seen.keyboard = [await focused()];
for (let step = 0; step < 3; step++) {
  await page.keyboard.press('Tab');
  seen.keyboard.push(await focused());
}
await page.getByText('Skip to content').focus();
await page.keyboard.press('Enter');
seen.skippedTo = await page.evaluate(() => document.activeElement.id);

// Out, and back.
await arrive(page, () => page.getByRole('button', { name: 'Sign out' }).click());
await page.waitForURL('**/sign-in');
seen.signOut = { cookies: (await page.context().cookies()).length };
await page.goBack();
seen.signOut.back = { path: path(page), heading: await heading(page), text: await page.locator('body').innerText() };

// On a phone, in the dark, and without scripts.
const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: 'dark', javaScriptEnabled: false, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
seen.phone = { signIn: await signIn(phone, API_KEY), heading: await heading(phone), charts: await phone.locator('svg.chart:visible').count(), pages: {} };
for (const to of ['', '/requests', `/requests/${REQUEST}`, '/credits', '/keys']) {
  await phone.goto(`${CONSOLE_URL}/accounts/${ACCOUNT}${to}`);
  const width = await phone.locator('html').evaluate((html) => html.scrollWidth - html.clientWidth);
  seen.phone.pages[to] = { overflow: width, heading: await heading(phone), ground: await phone.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor) };
}
await arrive(phone, () => phone.getByRole('button', { name: 'Sign out' }).click());
seen.phone.out = path(phone);

// The same in the dark with scripts, for axe.
const dark = await open({ colorScheme: 'dark' });
await signIn(dark, API_KEY);
await judge(dark, 'overview in the dark');
await dark.goto(`${CONSOLE_URL}/accounts/${ACCOUNT}/requests/${REQUEST}`);
await judge(dark, 'request in the dark');

// The operator.
const operator = await open();
seen.operator = { signIn: await signIn(operator, ADMIN_KEY), heading: await heading(operator), path: path(operator) };
await judge(operator, 'accounts');
await operator.getByLabel('Id, name or address').fill(OTHER_ACCOUNT.slice(0, 13));
await arrive(operator, () => operator.getByRole('button', { name: 'Search' }).click());
seen.operator.found = await operator.locator('main tbody th').allInnerTexts();
await operator.goto(`${CONSOLE_URL}/requests?request_id=${OTHER_REQUEST}`);
seen.operator.request = { path: path(operator), timeline: await operator.locator('.timeline h3').allInnerTexts() };
await operator.goto(`${CONSOLE_URL}/requests`);
seen.operator.requests = await rows(operator);
await judge(operator, 'all requests');
await arrive(operator, () => operator.getByRole('link', { name: 'Operations' }).click());
seen.operator.operations = await operator.locator('main').innerText();
await judge(operator, 'operations');

// A key is issued, works, and is revoked.
await operator.goto(`${CONSOLE_URL}/accounts/${ACCOUNT}/keys`);
await operator.getByLabel('Name').fill(KEY_NAME);
await operator.getByLabel('Models').fill('anthropic/*');
await operator.getByLabel('Cap, credits').fill('50');
await arrive(operator, () => operator.getByRole('button', { name: 'Issue' }).click());
const secret = await operator.locator('.secret').innerText();
await judge(operator, 'issued');
const owner = await open();
seen.issued = { path: path(operator), looksLike: secret.slice(0, 9), signIn: await signIn(owner, secret) };
await arrive(operator, () => operator.getByRole('link', { name: 'I have copied it' }).click());
seen.issued.listed = await operator.locator('main tbody').innerText();
await arrive(operator, () => operator.getByRole('link', { name: `Revoke ${KEY_NAME}` }).click());
await judge(operator, 'revoke');
await arrive(operator, () => operator.getByRole('button', { name: 'Revoke' }).click());
await operator.waitForURL('**/keys');
seen.issued.revoked = await operator.locator('main tbody').innerText();
await owner.reload();
seen.issued.sessionAfter = { path: path(owner), text: await owner.locator('main').innerText() };

// Each page once more on a phone, with the operator's tables.
await operator.setViewportSize({ width: 390, height: 844 });
seen.operator.overflow = {};
for (const to of ['accounts', 'requests', 'operations', `accounts/${ACCOUNT}/keys`]) {
  await operator.goto(`${CONSOLE_URL}/${to}`);
  seen.operator.overflow[to] = await overflows(operator);
}

await browser.close();
console.log(JSON.stringify(seen));
