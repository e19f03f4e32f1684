// The code of all views. A page gets it once, by loader.ts.
import { render as card } from './card';
import { render as jobs } from './jobs';
import { render as table } from './table';

export default { card: { render: card }, table: { render: table }, jobs: { render: jobs } };
